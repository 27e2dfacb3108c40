"""Small servers that speak the wire formats of others: what the templates in docs/http.md are written for.

Each is written from its vendor's description of the format, and decodes what it is sent with libraries of its own
(Pillow, json, NumPy), so that agreement with our side says something.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import web
from PIL import Image as Pillow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ANIMALS = ("dog", "fox", "cat")
LOGITS = np.random.default_rng(7).normal(size=(3, 1000))


def shares(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the softmax of the mean colour in 0 to 1, (3,)."""
    mean = pixels.reshape(-1, 3).astype(np.float64).mean(axis=0) / 255
    return np.asarray(np.exp(mean) / np.exp(mean).sum())


def thousand(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return logits of numbers (3, H, W)."""
    return np.asarray(numbers.astype(np.float64).mean(axis=(1, 2)) @ LOGITS)


def decoded(image: bytes) -> NDArray[np.uint8]:
    """Return the pixels of an image file, (H, W, 3)."""
    with Pillow.open(io.BytesIO(image)) as picture:
        return np.array(picture.convert("RGB"))


@dataclass
class Server:
    """What was asked: headers of each request and the pixels or numbers in it."""

    seen: list[NDArray[Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(request.headers.copy())
        return await self.answered(request)

    async def answered(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError


@dataclass
class HuggingFace(Server):
    """An inference endpoint of the task image-classification. waking: requests told 503 before it answers."""

    token: str = "hf_marker"
    waking: int = 0

    async def answered(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"error": "Invalid credentials in Authorization header"}, status=401)
        body = await request.read()
        if self.waking:
            self.waking -= 1
            return web.json_response({"error": "503 Service Unavailable"}, status=503)
        top = 5
        if request.content_type == "application/json":
            content = json.loads(body)
            top = content.get("parameters", {}).get("top_k", top)
            body = base64.b64decode(content["inputs"], validate=True)
        elif not request.content_type.startswith("image/"):
            return web.json_response({"error": f'Content type "{request.content_type}" not supported.'}, status=400)
        self.seen.append(decoded(body))
        scored = sorted(zip(shares(self.seen[-1]), ANIMALS, strict=True), reverse=True)
        return web.json_response(self.labels([(name, float(score)) for score, name in scored[:top]]))

    def labels(self, scored: list[tuple[str, float]]) -> list[dict[str, Any]]:
        """Return labels as the task has them."""
        return [{"label": name, "score": score} for name, score in scored]


@dataclass
class HuggingFaceObjects(HuggingFace):
    """An inference endpoint of the task object-detection: things side by side, from the left, in equal shares."""

    def labels(self, scored: list[tuple[str, float]]) -> list[dict[str, Any]]:
        """Return labels with boxes in pixels."""
        height, width = self.seen[-1].shape[:2]
        ends = [place * width // len(scored) for place in range(len(scored) + 1)]
        return [
            {
                "label": name,
                "score": score,
                "box": {"xmin": ends[place], "ymin": 0, "xmax": ends[place + 1], "ymax": height},
            }
            for place, (name, score) in enumerate(scored)
        ]


@dataclass
class KServe(Server):
    """A server of the Open Inference Protocol v2, with the binary extension, and one model of 1,000 logits."""

    async def answered(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/v2/models/resnet50/infer":
            return web.json_response({"error": f"Request for unknown model: {request.path}"}, status=404)
        body = await request.read()
        length = int(request.headers.get("Inference-Header-Content-Length", len(body)))
        content, rest = json.loads(body[:length]), body[length:]
        (tensor,) = content["inputs"]
        if (tensor["name"], tensor["datatype"], len(tensor["shape"])) != ("input", "FP32", 4):
            return web.json_response({"error": "unexpected input"}, status=400)
        if "binary_data_size" in tensor.get("parameters", {}):
            if tensor["parameters"]["binary_data_size"] != len(rest):
                return web.json_response({"error": "unexpected size of binary data"}, status=400)
            numbers = np.frombuffer(rest, "<f4").reshape(tensor["shape"])
        else:
            numbers = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        self.seen.extend(numbers)
        logits = np.array([thousand(image) for image in numbers])
        output = {"name": "logits", "datatype": "FP32", "shape": list(logits.shape), "data": logits.ravel().tolist()}
        return web.json_response({"model_name": "resnet50", "model_version": "3", "outputs": [output]})


@dataclass
class TorchServe(Server):
    """TorchServe with the handler image_classifier. busy: requests told that no worker is free."""

    busy: int = 0

    async def answered(self, request: web.Request) -> web.StreamResponse:
        if self.busy:
            self.busy -= 1
            return self._failed(503, "ServiceUnavailableException", "has no worker to serve inference request")
        if request.path != "/predictions/resnet-18":
            return self._failed(404, "ModelNotFoundException", "Model not found")
        if request.content_type.startswith("multipart/"):
            form = await request.post()
            file = form.get("data") or form.get("body")
            assert isinstance(file, web.FileField)
            assert (file.filename, file.content_type) == ("photo.png", "image/png")
            image = file.file.read()
        else:
            image = await request.read()
        self.seen.append(decoded(image))
        scored = sorted(zip(shares(self.seen[-1]), ANIMALS, strict=True), reverse=True)
        text = json.dumps({name: float(score) for score, name in scored}, indent=2)
        return web.Response(text=text, content_type="application/json")

    def _failed(self, code: int, kind: str, said: str) -> web.Response:
        return web.json_response({"code": code, "type": kind, "message": said}, status=code)


@dataclass
class Predictions(Server):
    """A server of lists: TensorFlow Serving's format, with refusals and failures of single images.

    refusing, failing: the numbers, from 0, of the images that are refused and that fail.
    """

    refusing: int | None = None
    failing: int | None = None

    async def answered(self, request: web.Request) -> web.StreamResponse:
        content = await request.json()
        assert (request.path, content["signature_name"]) == ("/v1/models/colours:predict", "serving_default")
        images = [decoded(base64.b64decode(part["image_bytes"]["b64"])) for part in content["instances"]]
        self.seen.extend(images)
        return web.json_response({"predictions": [self._one(*numbered) for numbered in enumerate(images)]})

    def _one(self, number: int, image: NDArray[Any]) -> dict[str, Any]:
        if number == self.refusing:
            return {"refused": "indecent"}
        if number == self.failing:
            return {"error": "out of memory"}
        return {"probabilities": shares(image).tolist(), "refused": None}
