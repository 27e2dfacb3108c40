"""Photos in and pixels out: what is read from a file, what an oracle is sent of it, and where a map lies on it.

Four rules, so that nobody is surprised by a picture:

1. A photo is (H, W, 3) uint8 RGB, upright. Whatever is read becomes that by a documented rule, or is refused.
2. Size is judged from the header, before any pixel is decoded.
3. An oracle is sent what its `View` says, and only through `fit`; `Placement` remembers where that was.
4. What travels is lossless (`png`): the oracle decodes exactly the pixels that the algorithm asked about.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
import PIL.Image
from PIL import ImageOps

from bbquery import heif, samples
from bbquery.errors import BadImage, UsageError
from bbquery.pixel_scale import other_scale
from bbquery.types import UINT8, Domain, Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from bbquery.oracle import View
    from bbquery.pixel_scale import Scale

SHORTEST_SIDE = 8
"""Pixels: below this there is nothing to explain, and most models' own resizing degenerates."""

MOST_PIXELS = 64_000_000
"""Above this a file is more likely a mistake or a decompression bomb than a photo."""

SLIVER = 0.2
"""The share of a photo below which it is likely that the model is not shown what a person means; 4:1 comes below it."""

SQUEEZED = 4
"""How much more a photo is shrunk in one direction than in the other before its content is hard to recognise."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""What is read, beside HEIC and AVIF. Pillow knows more, some of which run other programs (EPS) or are not photos."""

MAIN_PICTURE = frozenset({"MPO", "HEIF"})
"""Formats whose further pictures, such as depths and bursts, are not frames."""

ROWS_LOOKED_AT = 8
"""Of an image that is to be encoded, to see whether it compresses."""

INCOMPRESSIBLE = 0.67
"""The share of its size below which compressing is worth some thirty times the CPU time of storing."""

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


def called(source: str | os.PathLike[str] | Image) -> str:
    """Return what people call a photo: its file's name, or that of a sample; nothing for an array."""
    return "" if isinstance(source, np.ndarray) else os.fsencode(source).decode(errors="replace").rpartition("/")[2]


def load(source: str | os.PathLike[str] | Image) -> NDArray[np.uint8]:
    """Return a photo as (H, W, 3) uint8 RGB, upright; both sides at least 8 pixels, at most 64 megapixels in all.

    source: a path, "sample:NAME" (see `bbquery.samples`), or an array (H, W, 3) in grey levels 0 to 255.

    What becomes of the kinds of files (JPEG, PNG, WebP, TIFF, BMP, GIF, PPM; AVIF and HEIC with the extra `heif`):

    - 8-bit RGB: as it is. Greyscale, black and white, palette: expanded to RGB.
    - CMYK, YCbCr, LAB: converted by Pillow's formula. Colour profiles are ignored for every kind, as classifiers do.
    - Transparency of any kind: composited over white.
    - 16-bit greyscale: divided by 257 and rounded, so that 65535 becomes 255 (257 = 65535 / 255).
      16-bit colour: Pillow keeps the upper byte of each channel.
    - EXIF orientation: applied, so that the photo is upright.
    - MPO and HEIC with extra pictures, as phones write: the main picture, as every viewer shows.
    - Refused: animations and multi-page files, floating-point pixels, integers beyond 16 bits, anything damaged.

    What becomes of arrays: integers as they are, floating-point numbers rounded half to even; the result is a copy.

    Raises:
        BadImage: the source cannot be used; says why and what to do.
        UnknownName: no sample has this name.
        MissingExtra: a sample is wanted and scikit-image is not installed; or the photo is HEIC or AVIF and its
            decoder is not.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, str) and source.startswith(samples.PREFIX):
        return _from_file(samples.path(source.removeprefix(samples.PREFIX)), source)
    if isinstance(source, (str, os.PathLike)):
        return _from_file(Path(source), os.fspath(source))
    raise BadImage(type(source).__name__, "give a path, 'sample:NAME' or a numpy array (height, width, 3)")


# --- files ---


def _from_file(path: Path, name: str) -> NDArray[np.uint8]:
    """Open once, read once: what is checked is what is decoded."""
    try:
        _refuse_unless_file(path, name)
        with path.open("rb") as file:
            return _decode(file, name)
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
        files = (entry.name for entry in path.iterdir() if entry.is_file() and not entry.name.startswith("."))
        first = min(files, default=None)
        if first is None:
            raise BadImage(name, "it is a folder without a file: give a photo")
        raise BadImage(name, f"it is a folder: give one photo, such as {str(path / first)!r}")
    if not stat.S_ISREG(mode):  # reading a pipe or a device might never end
        raise BadImage(name, "it is not a regular file: copy the photo into one")


def _decode(file: BinaryIO, name: str) -> NDArray[np.uint8]:
    try:
        also = heif.formats(file.read(heif.HEAD), name)
        file.seek(0)
        with _no_warnings(), PIL.Image.open(file, formats=also or FORMATS) as image:
            _refuse_size(image.height, image.width, name)
            _refuse_frames(image, name)
            ImageOps.exif_transpose(image, in_place=True)  # decodes
            return _rgb(image, name)
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
    "unit": "multiply by 255",
    "signed": "if they are of -1 to 1, give (x + 1) * 127.5; if normalised, undo that: (x * std + mean) * 255",
    "normalised": "undo their normalisation by mean and deviation: give (x * std + mean) * 255",
    "unknown": "scale them to grey levels 0 to 255",
}


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    name = f"array {array.shape} of {array.dtype}"
    if array.ndim != 3 or array.shape[2] != 3:
        raise BadImage(name, f"its shape must be (height, width, 3): {_shape_advice(array.shape)}")
    if array.dtype.kind not in "uif":
        raise BadImage(name, "its numbers must be integers or floating-point, in grey levels 0 to 255")
    _refuse_size(array.shape[0], array.shape[1], name)
    _refuse_levels(array, name)
    if array.dtype == np.uint8:
        return np.array(array, order="C")
    return np.ascontiguousarray(UINT8.realise(array))


def _shape_advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "repeat a greyscale image with np.stack([image] * 3, axis=2)"
    if len(shape) == 4:
        return "give one image of the batch, batch[0]"
    if len(shape) == 3 and shape[2] == 4:
        return "drop the alpha channel with image[:, :, :3]"
    if len(shape) == 3 and shape[0] == 3:
        return "put the channels last with image.transpose(1, 2, 0)"
    return "give an RGB image"


def _refuse_levels(array: NDArray[Any], name: str) -> None:
    if not np.isfinite(array).all():
        raise BadImage(name, "it has NaN or infinite values: replace them")
    low, high = array.min(), array.max()
    scale = other_scale(array, 255)
    if scale is None and (low < 0 or high > 255):
        scale = "unknown"
    if scale is not None:
        raise BadImage(
            name, f"its values run from {low:g} to {high:g}, and grey levels from 0 to 255: {TO_LEVELS[scale]}"
        )


# --- what an oracle is sent ---


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where on a photo the pixels lie that an oracle was sent.

    photo: (height, width) of the photo. box: (left, top, right, bottom) of what was sent, in pixels of the photo,
    pixel i reaching from i to i + 1; edges may be fractional. size: (height, width) of what was sent.
    """

    photo: tuple[int, int]
    box: tuple[float, float, float, float]
    size: tuple[int, int]

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Placement:
        """Return the one that a record (`run.json`) has under image.sent.

        Raises:
            LookupError, TypeError, ValueError: it is none.
        """
        height, width = map(int, plain["photo"])
        left, top, right, bottom = map(float, plain["box"])
        rows, columns = map(int, plain["size"])
        return cls(photo=(height, width), box=(left, top, right, bottom), size=(rows, columns))

    @property
    def warning(self) -> str:
        """What a person must know who expects the model to see the photo; nothing where it does."""
        (height, width), (rows, columns) = self.photo, self.size
        across, down = self.box[2] - self.box[0], self.box[3] - self.box[1]
        share, squeezed = across * down / (height * width), (across / columns) / (down / rows)
        give = "give what matters of it, near a square"
        if share < SLIVER:
            seen = f"{across:.4g} × {down:.4g} of its {width} × {height} pixels ({share:.2%})"
            return f"the model is shown a sliver of the photo, {seen}: {give}"
        if max(squeezed, 1 / squeezed) > SQUEEZED:
            how = f"{max(squeezed, 1 / squeezed):.3g} times more in one direction than in the other"
            seen = f"its {width} × {height} pixels as {columns} × {rows}"
            return f"the model is shown the photo squeezed, {seen}, {how}: {give}"
        return ""

    def to_photo(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring a map (h, w) of what was sent to the photo's own coordinates, (H, W) float64.

        A photo's pixel takes the bilinear interpolation of the map at its centre. Where it covers k > 1 of the map's
        pixels, as when a small photo was enlarged, it takes the mean of ceil(k) × ceil(k) evenly spaced such points,
        so that no part of the map is skipped. Beyond the centres of the map's outermost pixels their values continue.
        Constants are kept everywhere and linear ramps inside those centres, up to rounding; no value leaves the
        map's range. NaN where the pixel's centre lies outside the box: the oracle did not see it. A NaN of the map
        stays NaN and takes the pixels interpolated from it along.

        Raises:
            UsageError: the map's shape is not the size that was sent.
        """
        if values.shape != self.size:
            raise UsageError(f"a map of shape {values.shape} is not of the pixels that were sent, {self.size}")
        left, top, right, bottom = self.box
        rows, columns = _centres_within(top, bottom, self.photo[0]), _centres_within(left, right, self.photo[1])
        seen = _interpolate(np.asarray(values, dtype=np.float64), rows, top, bottom)
        seen = _interpolate(seen.T, columns, left, right).T
        out = np.full(self.photo, np.nan)
        out[np.ix_(rows.astype(int), columns.astype(int))] = seen
        return out


def fit(photo: NDArray[np.uint8], view: View, domain: Domain) -> tuple[Image, Placement]:
    """Return the pixels an oracle is sent of a photo (H, W, 3) uint8, in its domain, and where they lie.

    With `view.crop` the central square whose side is that share of the shorter side, else the whole photo; then
    bicubic resampling (Pillow's, which smooths when it shrinks) to `view.size`. The square's edges are fractional, so
    EfficientNet's crop of size / (size + 32) of the shorter side is exact. Without `view.size` nothing is resampled
    and the square's side is rounded to whole pixels. When nothing changes the photo's own pixels are sent.

    Raises:
        UsageError: the view's crop is not above 0 and at most 1, or its size is below 1.
    """
    box = _box(photo, view)
    size = view.size or (int(box[3] - box[1]), int(box[2] - box[0]))
    placement = Placement(photo=(photo.shape[0], photo.shape[1]), box=box, size=size)
    return domain.realise(_resample(photo, placement)), placement


def _box(photo: NDArray[np.uint8], view: View) -> tuple[float, float, float, float]:
    height, width = photo.shape[:2]
    if view.size is not None and min(view.size) < 1:
        raise UsageError(f"an oracle's view has size {view.size}: both sides must be at least 1 pixel")
    if view.crop is None:
        return 0.0, 0.0, float(width), float(height)
    if not 0 < view.crop <= 1:
        raise UsageError(f"an oracle's view has crop {view.crop}: it is a share, above 0 and at most 1")
    side = max(1.0, view.crop * min(height, width))
    if view.size is not None:
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side
    whole = round(side)
    column, row = (width - whole) // 2, (height - whole) // 2
    return float(column), float(row), float(column + whole), float(row + whole)


def _resample(photo: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    left, top, right, bottom = placement.box
    height, width = placement.size
    if (right - left, bottom - top) == (width, height) and left.is_integer() and top.is_integer():
        return photo[int(top) : int(bottom), int(left) : int(right)]
    image = PIL.Image.fromarray(photo)
    return np.array(image.resize((width, height), PIL.Image.Resampling.BICUBIC, box=placement.box))


def _centres_within(start: float, stop: float, length: int) -> NDArray[np.float64]:
    """Return the centres of those of `length` pixels that have them between start and stop."""
    centres = np.arange(length, dtype=np.float64) + 0.5
    return centres[(centres >= start) & (centres <= stop)]


def _interpolate(
    values: NDArray[np.float64], centres: NDArray[np.float64], start: float, stop: float
) -> NDArray[np.float64]:
    """Return the means of `values` (n, m), which lie evenly between start and stop, over pixels at `centres` (k, m)."""
    step = len(values) / (stop - start)
    points = max(1, int(np.ceil(step)))
    total = np.zeros((len(centres), values.shape[1]))
    for offset in ((np.arange(points) + 0.5) / points - 0.5) * step:
        position = np.clip((centres - start) * step + offset - 0.5, 0, len(values) - 1)
        lower = np.floor(position).astype(int)
        upper = np.minimum(lower + 1, len(values) - 1)
        share = (position - lower)[:, None]
        total += values[lower] * (1 - share) + values[upper] * share
    return total / points


# --- what travels ---


def png(image: Image, *, level: int | None = None) -> bytes:
    """Return a lossless PNG of an image (H, W, 3) uint8.

    level: zlib's, 0 (fast, large) to 9 (slow, small). None looks at the content: noise does not compress, so it is
    stored as it is (0), for a fraction of the time; anything else shrinks well at 1.

    Raises:
        UsageError: the image is not (H, W, 3) uint8.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(
            f"PNG takes (height, width, 3) uint8, not {image.shape} {image.dtype}: realise it in the domain UINT8"
        )
    chosen = _level(image) if level is None else level
    if chosen == 0:
        return _stored(image)
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(image)).save(buffer, "png", compress_level=chosen)
    return buffer.getvalue()


def _stored(image: Image) -> bytes:
    """Return a PNG of pixels neither filtered nor compressed; Pillow filters even what it stores, many times slower."""
    height, width, _ = image.shape
    rows = np.zeros((height, 3 * width + 1), np.uint8)  # each row begins with its filter: 0 is none
    rows[:, 1:] = image.reshape(height, -1)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits, RGB
        (b"IDAT", zlib.compress(rows.tobytes(), 0)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _level(image: Image) -> int:
    """Return the level that suits the content, from a few rows and their differences, as PNG filters them."""
    rows = image[:: max(1, image.shape[0] // ROWS_LOOKED_AT)]
    sample = np.diff(rows, axis=1, prepend=np.uint8(0)).tobytes()
    return 0 if len(zlib.compress(sample, 1)) > INCOMPRESSIBLE * len(sample) else 1
