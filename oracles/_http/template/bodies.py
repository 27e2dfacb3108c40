"""The body of a request: JSON, a form, or a PNG as it is. All work on pixels is done once per image, in `encode`."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from bbquery.images.png import png
from oracles._http.wire.fields import dumps

if TYPE_CHECKING:
    from bbquery.types import Image
    from oracles._http.template.slots import Document
    from oracles._shared.preprocessing import Preprocessing

Pieces: TypeAlias = Mapping[str, bytes]
"""The values that one image gives to a request, by name."""

Headers: TypeAlias = Mapping[str, str]

MEMBER = re.compile(rb'"([A-Za-z_][A-Za-z0-9_-]*)":')
DATA_URL = b"data:image/png;base64,"


class Body(Protocol):
    """How images become the body of a request."""

    @property
    def field_names(self) -> frozenset[str]:
        """The names of the fields that the user wrote."""

    @property
    def text_bytes(self) -> int:
        """How many bytes a request has beside its images: no text in it is longer."""

    def encode(self, image: Image) -> Pieces:
        """Return what an image, uint8 (H, W, 3), gives to a request."""

    def join(self, images: Sequence[Pieces]) -> tuple[bytes, Headers]:
        """Return the body for these images, and the headers that belong to it."""


_PIECES = {
    "images_floats": "image_floats",
    "images_flat": "flat",
    "images_shape": "shape",
    "images_bytes": "bytes",
}
"""What each image gives to a slot that is filled from all of them."""


@dataclass(frozen=True)
class JsonBody:
    """JSON with images in its slots. prepare: pixels to numbers.

    length_header: where not None, the numbers follow the JSON as little-endian bytes, and this header tells the JSON's
    length (the binary extension of the Open Inference Protocol).
    """

    document: Document
    prepare: Preprocessing
    length_header: str | None = None

    @property
    def field_names(self) -> frozenset[str]:
        """The names of the document's members, at any depth."""
        documents = (self.document, *self.document.each.values())
        found = (MEMBER.findall(literal) for document in documents for literal in document.literals)
        return frozenset(name.decode() for names in found for name in names)

    @property
    def text_bytes(self) -> int:
        """How many bytes the document has around its slots."""
        documents = (self.document, *self.document.each.values())
        return sum(len(literal) for document in documents for literal in document.literals)

    def encode(self, image: Image) -> Pieces:
        """Return the pieces of the document that depend on the image."""
        binary = () if self.length_header is None else ("bytes",)
        wanted = {_PIECES.get(name, name) for name in self.document.names}.union(binary)
        pieces = _texts(image, wanted) | _numbers(image, wanted, self.prepare)
        pieces |= {slot: inner.filled(pieces) for slot, inner in self.document.each.items()}
        needed = {_PIECES.get(slot, slot) for slot in self.document.slots}.union(binary)
        return {name: piece for name, piece in pieces.items() if name in needed}

    def join(self, images: Sequence[Pieces]) -> tuple[bytes, Headers]:
        """Return the document with these images in its slots."""
        body = self.document.filled({slot: self._value(slot, images) for slot in self.document.slots})
        if self.length_header is None:
            return body, {"Content-Type": "application/json"}
        headers = {"Content-Type": "application/octet-stream", self.length_header: str(len(body))}
        return b"".join((body, *(pieces["bytes"] for pieces in images))), headers

    def _value(self, slot: str, images: Sequence[Pieces]) -> bytes:
        match slot:
            case "images_count":
                return b"%d" % len(images)
            case "images_bytes":
                return b"%d" % sum(len(pieces["bytes"]) for pieces in images)
            case "images_shape":
                return b"[%d,%b]" % (len(images), images[0]["shape"])
        if slot in _PIECES or slot in self.document.each:
            return b"[" + b",".join(pieces[_PIECES.get(slot, slot)] for pieces in images) + b"]"
        return images[0][slot]


@dataclass(frozen=True)
class FormBody:
    """A multipart form (RFC 7578) of some fields and one image, as a file."""

    file_field: str
    file_name: str
    fields: Mapping[str, str]
    boundary: str = field(default_factory=lambda: f"bbquery-{secrets.token_hex(16)}")

    @property
    def field_names(self) -> frozenset[str]:
        """The names of the form's fields."""
        return frozenset({*self.fields, self.file_field})

    @property
    def text_bytes(self) -> int:
        """How many bytes the fields have."""
        return sum(len(name.encode()) + len(value.encode()) for name, value in self.fields.items())

    def encode(self, image: Image) -> Pieces:
        """Return the whole form."""
        parts = [self._part(f'name="{name}"', value.encode()) for name, value in self.fields.items()]
        file = f'name="{self.file_field}"; filename="{self.file_name}"\r\nContent-Type: image/png'
        parts.append(self._part(file, png(image)))
        return {"body": b"".join((*parts, f"--{self.boundary}--\r\n".encode()))}

    def _part(self, disposition: str, content: bytes) -> bytes:
        head = f"--{self.boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
        return b"".join((head.encode(), content, b"\r\n"))

    def join(self, images: Sequence[Pieces]) -> tuple[bytes, Headers]:
        """Return the form of the one image."""
        return images[0]["body"], {"Content-Type": f"multipart/form-data; boundary={self.boundary}"}


@dataclass(frozen=True)
class RawBody:
    """A PNG, and nothing else."""

    content_type: str

    @property
    def field_names(self) -> frozenset[str]:
        """None: it is a file."""
        return frozenset()

    @property
    def text_bytes(self) -> int:
        """None: it is a file."""
        return 0

    def encode(self, image: Image) -> Pieces:
        """Return the PNG."""
        return {"body": png(image)}

    def join(self, images: Sequence[Pieces]) -> tuple[bytes, Headers]:
        """Return the PNG of the one image."""
        return images[0]["body"], {"Content-Type": self.content_type}


def _texts(image: Image, wanted: Collection[str]) -> dict[str, bytes]:
    height, width = image.shape[:2]
    pieces = {"image_height": b"%d" % height, "image_width": b"%d" % width}
    if "image_base64" in wanted or "image_data_url" in wanted:
        text = base64.b64encode(png(image))
        pieces |= {"image_base64": text, "image_data_url": DATA_URL + text}
    return pieces


def _numbers(image: Image, wanted: Collection[str], prepare: Preprocessing) -> dict[str, bytes]:
    if not {"image_floats", "flat", "shape", "bytes"}.intersection(wanted):
        return {}
    numbers = prepare(image)
    pieces = {"shape": b",".join(b"%d" % side for side in numbers.shape)}
    if "image_floats" in wanted:
        pieces["image_floats"] = dumps(numbers)
    if "flat" in wanted:
        pieces["flat"] = dumps(numbers.ravel())[1:-1]
    if "bytes" in wanted:
        pieces["bytes"] = numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    return pieces
