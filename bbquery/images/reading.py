"""Reading of photos from a file, its bytes, a picture of Pillow, an array or a sample, each by a documented rule.

1. A photo is (H, W, 3) uint8 RGB, upright. Whatever is read becomes that by a documented rule, or is refused.
2. Size is judged from the header, before any pixel is decoded.
"""

from __future__ import annotations

import io
import mimetypes
import os
import stat
import struct
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, TypeVar

import numpy as np
import PIL.Image
from PIL import ImageOps

from bbquery.errors import BadImage
from bbquery.images import heif, samples
from bbquery.images.pixel_scale import ROUNDING, other_scale
from bbquery.types import UINT8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from bbquery.images.pixel_scale import Scale

Source: TypeAlias = "str | os.PathLike[str] | bytes | PIL.Image.Image | NDArray[Any]"
"""An image: a path, "sample:NAME", the bytes of a file, a picture of Pillow, or an array.

An array is (H, W, 3) RGB or (H, W) grey, of whole numbers 0 to 255 or of floating-point numbers 0 to 1.
"""

T = TypeVar("T")

SHORTEST_SIDE = 8
"""Pixels: below this there is nothing to explain, and most models' own resizing degenerates."""

MOST_PIXELS = 64_000_000
"""Above this a file is more likely a mistake or a decompression bomb than a photo."""

MOST_THREADS = 4
"""That look through photos at once; each may hold the pixels of one."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""What is read, beside HEIC and AVIF. Pillow knows more, some of which run other programs (EPS) or are not photos."""

MAIN_PICTURE = frozenset({"MPO", "HEIF"})
"""Formats whose further pictures, such as depths and bursts, are not frames."""

ORIENTATION = 0x0112
ON_ITS_SIDE = range(5, 9)
"""Of the orientations of EXIF, those that exchange height and width."""

_DAMAGE = (
    # Pillow's decoders do not agree on one error for a damaged file; these are what they raise.
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    struct.error,
)

_WARNING_FILTERS = threading.Lock()  # they belong to the whole process, so one thread at a time changes them


def called(source: Source) -> str:
    """Return what people call a photo: its file's name, or that of a sample; nothing for what has no name."""
    if not isinstance(source, str | os.PathLike):
        return ""
    return os.fsencode(source).decode(errors="replace").rpartition("/")[2]


def described(source: Source) -> str:
    """Return where a photo is from, for a record: its path as it was given, or what kind of thing it was."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, bytes):
        return "bytes of a file"
    return _array_name(source) if isinstance(source, np.ndarray) else _picture_name(source)


def load(source: Source) -> NDArray[np.uint8]:
    """Return a photo as (H, W, 3) uint8 RGB, upright; both sides at least 8 pixels, at most 64 megapixels in all.

    source: a path, "sample:NAME" (see `bbquery.images.samples`), the bytes of a file, a picture of Pillow, or an array.

    How kinds of files are read (JPEG, PNG, WebP, TIFF, BMP, GIF, PPM; AVIF and HEIC with the extra `heif`):

    - 8-bit RGB: as it is. Greyscale, black and white, palette: expanded to RGB.
    - CMYK, YCbCr, LAB: converted by Pillow's formula. Colour profiles are ignored for every kind, as classifiers do.
    - Transparency of any kind: composited over white.
    - 16-bit greyscale: divided by 257 and rounded, so that 65535 becomes 255 (257 = 65535 / 255).
      16-bit colour: Pillow keeps the upper byte of each channel.
    - EXIF orientation: applied, so that the photo is upright.
    - MPO and HEIC with extra pictures, as phones write: the main picture, as every viewer shows.
    - Refused: animations and multi-page files, floating-point pixels, integers beyond 16 bits, anything damaged.

    Bytes and pictures of Pillow are read as files are.

    Arrays: (H, W, 3) RGB, or (H, W) grey, which is repeated into three channels. Integers are grey levels 0 to 255, as
    they are; floating-point numbers are from 0, black, to 1, white, times 255 and rounded half to even. The result is a
    copy.

    Raises:
        BadImage: the source cannot be used; says why and what to do.
        UnknownName: no sample has this name.
        MissingExtra: a sample is wanted and scikit-image is not installed; or the photo is HEIC or AVIF and its
            decoder is not.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "bytes of a file", _upright, _no_warnings)
    if isinstance(source, PIL.Image.Image):
        return _from_picture(source)
    if isinstance(source, str) and source.startswith(samples.PREFIX):
        return _from_file(samples.path(source.removeprefix(samples.PREFIX)), source)
    if isinstance(source, (str, os.PathLike)):
        return _from_file(Path(source), os.fspath(source))
    kinds = "'sample:NAME', the bytes of a file, a picture of Pillow or a NumPy array"  # type: ignore[unreachable] # code without types may give anything
    raise BadImage(type(source).__name__, f"give a path, {kinds}")


def size(source: str | os.PathLike[str]) -> tuple[int, int]:
    """Return (height, width) of the photo that `load` gives for a path or "sample:NAME", from its header.

    No pixel is decoded, so damage further on is not found.

    Raises:
        BadImage, UnknownName, MissingExtra: as `load`, as far as the header tells.
    """
    name = os.fspath(source)
    if name.startswith(samples.PREFIX):
        return _read(samples.path(name.removeprefix(samples.PREFIX)), name, _upright_size)
    return _read(Path(name), name, _upright_size)


def sizes(sources: Iterable[str]) -> dict[str, tuple[int, int] | BadImage]:
    """Return (height, width) of each of many photos, or why it cannot be read, which is found wherever it is damaged.

    All are decoded, on threads, JPEG at an eighth of its sides, which takes a small part of the time; none is kept.

    Raises:
        UnknownName, MissingExtra: as `load`.
    """
    with _no_warnings(), ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        distinct = list(dict.fromkeys(sources))
        return dict(zip(distinct, threads.map(_looked_through, distinct), strict=True))


def _looked_through(source: str) -> tuple[int, int] | BadImage:
    sample = source.startswith(samples.PREFIX)
    path = samples.path(source.removeprefix(samples.PREFIX)) if sample else Path(source)
    try:
        return _read(path, source, _decoded_size, silenced=nullcontext)
    except BadImage as error:
        return error


# --- files ---


def _from_file(path: Path, name: str) -> NDArray[np.uint8]:
    return _read(path, name, _upright)


def _read(
    path: Path,
    name: str,
    read: Callable[[PIL.Image.Image, str], T],
    silenced: Callable[[], AbstractContextManager[None]] | None = None,
) -> T:
    """Open once, read once: what is checked is what is decoded. read: takes a picture that is open, and its name.

    silenced: keeps Pillow from warning meanwhile; None does so by itself, one photo at a time.
    """
    try:
        _refuse_unless_file(path, name)
        with path.open("rb") as file:
            return _decode(file, name, read, silenced or _no_warnings)
    except FileNotFoundError as error:
        advice = "download it first and give the file" if "://" in name else "check the path"
        raise BadImage(name, f"there is no such file: {advice}") from error
    except PermissionError as error:
        raise BadImage(name, "you may not read it: change its permissions or copy it") from error
    except (OSError, ValueError) as error:  # a name that is too long, a loop of links, a null character
        raise BadImage(name, f"it cannot be opened ({getattr(error, 'strerror', None) or error})") from error


def _refuse_unless_file(path: Path, name: str) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        files = sorted(each.name for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
        first = next(filter(_named_picture, files), files[0] if files else None)
        if first is None:
            raise BadImage(name, "it is a folder without a file: give a photo")
        raise BadImage(name, f"it is a folder: give one photo, such as {str(path / first)!r}")
    if not stat.S_ISREG(mode):  # reading a pipe or a device might never end
        raise BadImage(name, "it is not a regular file: copy the photo into one")


def _named_picture(file: str) -> bool:
    return (mimetypes.guess_type(file)[0] or "").startswith("image/")


def _decode(
    file: BinaryIO,
    name: str,
    read: Callable[[PIL.Image.Image, str], T],
    silenced: Callable[[], AbstractContextManager[None]],
) -> T:
    with _damage_refused(name):
        also = heif.formats(file.read(heif.HEAD), name)
        file.seek(0)
        with silenced(), PIL.Image.open(file, formats=also or FORMATS) as image:
            return read(image, name)


def _from_picture(image: PIL.Image.Image) -> NDArray[np.uint8]:
    """Read a picture that Pillow has opened or made; it stays as it is."""
    name = _picture_name(image)
    with _damage_refused(name), _no_warnings():
        return _upright(image, name)


def _picture_name(image: PIL.Image.Image) -> str:
    return f"picture of Pillow, {image.width} × {image.height} {image.mode}"


def _upright(image: PIL.Image.Image, name: str) -> NDArray[np.uint8]:
    _refuse_size(image.height, image.width, name)
    _refuse_frames(image, name)
    return _rgb(ImageOps.exif_transpose(image), name)  # decodes


def _upright_size(image: PIL.Image.Image, name: str) -> tuple[int, int]:
    _refuse_size(image.height, image.width, name)
    _refuse_frames(image, name)
    tags = PIL.Image.Image.getexif(image)  # that of PNG decodes the picture, to find tags behind it
    turned = image.format != "TIFF" and tags.get(ORIENTATION, 1) in ON_ITS_SIDE  # whose size Pillow has turned already
    return (image.width, image.height) if turned else (image.height, image.width)


def _decoded_size(image: PIL.Image.Image, name: str) -> tuple[int, int]:
    """Return a picture's size, and decode all of it: JPEG at an eighth of its sides, for which it is read whole too."""
    found = _upright_size(image, name)
    image.draft(None, (1, 1))
    _rgb(image, name)
    return found


@contextmanager
def _damage_refused(name: str) -> Iterator[None]:
    """Say of what Pillow cannot decode what is wrong with it."""
    try:
        yield
    except PIL.Image.DecompressionBombError as error:
        raise BadImage(name, f"it is larger than {_megapixels(MOST_PIXELS)}: shrink it first") from error
    except PIL.UnidentifiedImageError as error:
        known = f"{', '.join(FORMATS)}, AVIF and HEIC are read"
        reason = f"it is not a picture, or its start is damaged; {known}: convert it to one of them"
        raise BadImage(name, reason) from error
    except _DAMAGE as error:
        reason = f"it is damaged, cut short or of a kind that is not read ({error}): save it anew as an 8-bit RGB PNG"
        raise BadImage(name, reason) from error


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Silence Pillow: it warns of damaged metadata, which are not used, and of sizes that are refused anyway."""
    with _WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refuse_size(height: int, width: int, name: str) -> None:
    if height * width > MOST_PIXELS:
        size = f"{width} × {height} pixels are {_megapixels(height * width)}"
        raise BadImage(name, f"{size}, more than the {_megapixels(MOST_PIXELS)} that are read: shrink it first")
    if min(height, width) < SHORTEST_SIDE:
        raise BadImage(name, f"it has {width} × {height} pixels: both sides must be at least {SHORTEST_SIDE}")


def _megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:.4g} megapixels"


def _refuse_frames(image: PIL.Image.Image, name: str) -> None:
    if getattr(image, "is_animated", False) and image.format not in MAIN_PICTURE:
        reason = (
            f"it is an animation or has several pages ({image.format}): extract one frame, save it as PNG and give that"
        )
        raise BadImage(name, reason)


def _rgb(image: PIL.Image.Image, name: str) -> NDArray[np.uint8]:
    if image.mode == "F":
        raise BadImage(name, "its pixels are floating-point, so white is unknown: save it with 8 bits a channel")
    if image.mode.startswith("I"):
        return _from_deep_grey(np.asarray(image), image.info.get("transparency"), name)
    if image.has_transparency_data:
        white = PIL.Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return np.array(white.convert("RGB"))
    return np.array(image.convert("RGB"))


def _from_deep_grey(grey: NDArray[Any], transparent: int | None, name: str) -> NDArray[np.uint8]:
    """Bring 16-bit greyscale (H, W) to 8 bits; the grey level that stands for transparency becomes white."""
    if grey.min() < 0 or grey.max() > 65535:
        raise BadImage(name, "its pixels have more than 16 bits: save it with 8 bits a channel")
    eight = ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)  # to the nearest: 257 is odd, so there are no ties
    if transparent is not None:
        eight[grey == transparent] = 255
    return np.repeat(eight[:, :, None], 3, axis=2)


# --- arrays ---


TO_LEVELS: Final[dict[Scale, str]] = {
    "unit": "multiply by 255, or give them as floating-point numbers",
    "signed": "if they are of -1 to 1, give (x + 1) * 127.5; if normalised, undo that: (x * std + mean) * 255",
    "normalised": "undo their normalisation by mean and deviation: give (x * std + mean) * 255",
    "unknown": "scale them to grey levels 0 to 255",
}
TO_SHARES: Final[dict[Scale, str]] = {
    "signed": "if they are of -1 to 1, give (x + 1) / 2; if a filter carried them beyond, np.clip(x, 0, 1); if "
    "normalised, undo that: x * std + mean",
    "normalised": "undo their normalisation by mean and deviation: give x * std + mean; if a filter carried them "
    "beyond, np.clip(x, 0, 1)",
    "unknown": "scale them to 0 to 1",
}
GREY_LEVELS = "if they are grey levels, divide by 255, or give them whole: x.astype(np.uint8)"


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    name = _array_name(array)
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
        raise BadImage(name, f"its shape must be (height, width, 3), or (height, width): {_shape_advice(array.shape)}")
    if array.dtype.kind not in "uif":
        raise BadImage(name, "its numbers must be integers 0 to 255 or floating-point numbers 0 to 1")
    _refuse_size(array.shape[0], array.shape[1], name)
    if not np.isfinite(array).all():
        raise BadImage(name, "it has NaN or infinite values: replace them")
    levels = _from_shares(array, name) if array.dtype.kind == "f" else _from_levels(array, name)
    return np.repeat(levels[:, :, None], 3, axis=2) if array.ndim == 2 else levels


def _array_name(array: NDArray[Any]) -> str:
    return f"array {array.shape} of {array.dtype}"


def _shape_advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[2] == 1:
        return "drop the last axis with image[:, :, 0]"
    if len(shape) == 4:
        return "give one image of the batch, batch[0]"
    if len(shape) == 3 and shape[2] == 4:
        return "drop the alpha channel with image[:, :, :3]"
    if len(shape) == 3 and shape[0] == 3:
        return "put the channels last with image.transpose(1, 2, 0)"
    return "give an RGB image"


def _from_shares(array: NDArray[np.floating], name: str) -> NDArray[np.uint8]:
    """Return the grey levels of floating-point numbers from 0, black, to 1, white."""
    low, high = float(array.min()), float(array.max())
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return np.ascontiguousarray(UINT8.realise(array * array.dtype.type(255)))
    scale = other_scale(array, 255)
    advice = GREY_LEVELS if scale is None else TO_SHARES[scale]
    raise BadImage(name, f"its values run from {low:g} to {high:g}, and floating-point pixels from 0 to 1: {advice}")


def _from_levels(array: NDArray[np.integer], name: str) -> NDArray[np.uint8]:
    """Return whole grey levels as uint8, a copy."""
    low, high = array.min(), array.max()
    scale = other_scale(array, 255)
    if scale is None and (low < 0 or high > 255):
        scale = "unknown"
    if scale is not None:
        raise BadImage(
            name, f"its values run from {low:g} to {high:g}, and grey levels from 0 to 255: {TO_LEVELS[scale]}"
        )
    return np.array(array, dtype=np.uint8, order="C")
