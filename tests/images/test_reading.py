"""What becomes a photo, and what is refused with which words."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import BadImage, MissingExtra, UnknownName
from bbquery.images import reading
from tests.support.images import photo_of, png_header_of
from tests.support.privileges import unprivileged

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


LOSSLESS = ("png", "webp", "tiff", "bmp", "ppm")


def saved(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    PIL.Image.fromarray(pixels).save(path, **options)
    return path


# --- files that become a photo ---


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_lossless_files_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    """An 8-bit RGB photo in a lossless file is read exactly."""
    photo = photo_of()
    path = saved(tmp_path / f"photo.{suffix}", photo, **({"lossless": True} if suffix == "webp" else {}))

    loaded = reading.load(str(path))

    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, photo)


def test_a_photo_is_read_through_any_path_object(tmp_path: Path) -> None:
    """A path object is as good as a string."""
    path = saved(tmp_path / "photo.png", photo_of())

    np.testing.assert_array_equal(reading.load(path), reading.load(str(path)))


@pytest.mark.parametrize("mode", ["L", "1"])
def test_greyscale_is_repeated_into_three_channels(tmp_path: Path, mode: str) -> None:
    """A greyscale or black-and-white file gives three equal channels of its own levels."""
    grey = (photo_of()[:, :, 0] // 128 * 255).astype(np.uint8)
    PIL.Image.fromarray(grey).convert(mode).save(tmp_path / "grey.png")

    loaded = reading.load(tmp_path / "grey.png")

    np.testing.assert_array_equal(loaded, np.stack([grey] * 3, axis=2))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    """A palette file gives the colours of its palette, not the indices."""
    image = PIL.Image.fromarray(np.tile(np.array([0, 1], dtype=np.uint8), (8, 4))).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "palette.png")

    loaded = reading.load(tmp_path / "palette.png")

    np.testing.assert_array_equal(loaded[0, :2], [[10, 20, 30], [200, 100, 50]])


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    """A CMYK file is converted by R = 255 - min(255, C + K), up to Pillow's rounding."""
    inks = np.empty((8, 8, 4), dtype=np.uint8)
    inks[:] = (200, 100, 0, 0)
    PIL.Image.frombytes("CMYK", (8, 8), inks.tobytes()).save(tmp_path / "print.tiff")

    loaded = reading.load(tmp_path / "print.tiff")

    np.testing.assert_allclose(loaded[0, 0].astype(int), [55, 155, 255], atol=1)


def test_lab_becomes_rgb(tmp_path: Path) -> None:
    """A LAB file of full lightness without colour is white."""
    PIL.Image.new("LAB", (8, 8), (255, 128, 128)).save(tmp_path / "lab.tiff")

    np.testing.assert_allclose(reading.load(tmp_path / "lab.tiff")[0, 0].astype(int), 255, atol=3)


def test_alpha_is_composited_over_white(tmp_path: Path) -> None:
    """A pixel of opacity a becomes a × colour + (1 - a) × white, up to rounding."""
    rgba = np.random.default_rng(3).integers(0, 256, (9, 10, 4), dtype=np.uint8)
    opacity = rgba[:, :, 3:] / 255

    loaded = reading.load(saved(tmp_path / "alpha.png", rgba))

    np.testing.assert_allclose(loaded, rgba[:, :, :3] * opacity + 255 * (1 - opacity), atol=1)


def test_the_transparent_colour_of_a_palette_is_white(tmp_path: Path) -> None:
    """A still GIF's transparent pixels become white, not the colour that stands for them."""
    image = PIL.Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "still.gif", transparency=0)

    loaded = reading.load(tmp_path / "still.gif")

    assert loaded[0, 0].tolist() == [255, 255, 255]
    assert loaded[1, 1].tolist() == [200, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_is_scaled_to_the_nearest_level(tmp_path: Path, suffix: str) -> None:
    """A 16-bit grey level g becomes the integer nearest to g / 257, so that black stays black and white white."""
    grey = np.linspace(0, 65535, 2560).round().astype(np.uint16).reshape(40, 64)

    loaded = reading.load(saved(tmp_path / f"deep.{suffix}", grey))

    np.testing.assert_array_equal(loaded[:, :, 1], np.floor(grey / 257 + 0.5))


def test_the_transparent_level_of_16_bit_grey_is_white(tmp_path: Path) -> None:
    """The one grey level that a 16-bit PNG calls transparent becomes white, its neighbours do not."""
    grey = np.full((8, 8), 1001, dtype=np.uint16)
    grey[0, 0] = 1000

    loaded = reading.load(saved(tmp_path / "deep.png", grey, transparency=1000))

    assert loaded[0, 0].tolist() == [255, 255, 255]
    assert loaded[1, 1].tolist() == [4, 4, 4]


ORIENTATIONS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    # the tag's value: what an upright photo went through when it was stored so (EXIF 2.32, table 6)
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_photo_is_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    """Each of the eight EXIF orientations is undone, once."""
    upright = photo_of()
    tag = PIL.Image.Exif()
    tag[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    stored = saved(tmp_path / f"photo.{suffix}", ORIENTATIONS[orientation](upright), exif=tag, **options)

    np.testing.assert_array_equal(reading.load(stored), upright)


LOSS = 12  # grey levels that a lossy format may be off, on a smooth picture


def smooth_photo() -> NDArray[np.uint8]:
    """A photo that lossy formats keep nearly as it is."""
    down, across = np.mgrid[0:64, 0:96]
    return np.stack([down * 3, across * 2, 255 - down * 2], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_photos_of_newer_phones_are_read(tmp_path: Path, suffix: str) -> None:
    """HEIC and AVIF open where their decoders are installed, whatever the file is called."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    path = saved(tmp_path / f"photo.{suffix}", smooth_photo(), quality=95)
    path.rename(tmp_path / "photo.jpg")

    read = reading.load(tmp_path / "photo.jpg")

    assert read.shape == (64, 96, 3)
    assert np.abs(read.astype(int) - smooth_photo()).max() <= LOSS


@pytest.mark.parametrize(("brand", "kind"), [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF")])
def test_a_missing_decoder_of_newer_photos_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brand: bytes, kind: str
) -> None:
    """Where HEIC or AVIF cannot be decoded, the error says which extra to install."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(40))

    with pytest.raises(MissingExtra, match=rf"opening the {kind} photo .*photo\.heic.*bbquery\[heif\]"):
        reading.load(tmp_path / "photo.heic")


@pytest.mark.parametrize("brand", [b"heic", b"avif"])
def test_a_damaged_photo_of_newer_phones_is_refused(tmp_path: Path, brand: bytes) -> None:
    """A HEIC or AVIF photo that ends after its first words is a bad image, and no traceback."""
    pytest.importorskip("pillow_heif")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(40))

    with pytest.raises(BadImage):
        reading.load(tmp_path / "photo.heic")


def test_the_main_picture_of_a_phone_s_mpo_is_read(tmp_path: Path) -> None:
    """A JPEG that carries a second picture is its first one, as every viewer shows it."""
    first, second = (PIL.Image.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[second])

    loaded = reading.load(tmp_path / "phone.jpg")

    assert loaded[8, 8, 0] > 200
    assert loaded[8, 8, 2] < 50


def test_damaged_metadata_does_not_matter(tmp_path: Path) -> None:
    """A photo whose EXIF block is garbage is read without a warning: its pixels are sound."""
    path = saved(tmp_path / "photo.png", photo_of(), exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x00")

    np.testing.assert_array_equal(reading.load(path), photo_of())


def refusal(source: Any) -> str:
    with pytest.raises(BadImage) as caught:
        reading.load(source)
    return str(caught.value)


# --- files that are refused ---


@pytest.mark.parametrize(
    ("name", "advice"),
    [("nowhere.png", "check the path"), ("https://host/cat.png", "download it first"), ("x" * 300, "too long")],
)
def test_a_missing_file_is_named(tmp_path: Path, name: str, advice: str) -> None:
    """A path without a file is refused with its name and what to do."""
    message = refusal(name)

    assert name in message
    assert advice in message


def test_a_name_with_a_null_character_is_refused() -> None:
    """A name that no file can have is refused like any other, not with Python's error."""
    assert "cannot be opened" in refusal("a\0b.png")


def test_a_folder_is_refused_with_a_file_of_it(tmp_path: Path) -> None:
    """A folder is refused with one of its photos as an example, not a hidden file and not another one."""
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / "a.npy").write_bytes(b"")
    saved(tmp_path / "b.png", photo_of())
    saved(tmp_path / "a.png", photo_of())

    assert str(tmp_path / "a.png") in refusal(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without a file is refused as such."""
    assert "a folder without a file" in refusal(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """Something that might never end is not read at all."""
    os.mkfifo(tmp_path / "pipe")

    assert "not a regular file" in refusal(tmp_path / "pipe")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    """A file without permission is refused as such, not as a damaged one."""
    path = saved(tmp_path / "secret.png", photo_of())
    path.chmod(0)

    with unprivileged():
        message = refusal(path)

    assert "may not read" in message


@pytest.mark.parametrize("content", [b"", b"hello, this is a text file\n" * 50, b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_a_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file, a text and a bare signature are refused with the formats that are read."""
    path = tmp_path / "photo.png"
    path.write_bytes(content)

    assert "JPEG, PNG" in refusal(path)


@pytest.mark.parametrize("format_", reading.FORMATS)
def test_a_truncated_file_is_refused(tmp_path: Path, format_: str) -> None:
    """Half a file is refused in every format, never returned half grey."""
    whole = io.BytesIO()
    PIL.Image.fromarray(photo_of(40, 60)).save(whole, "PPM" if format_ == "PPM" else format_)
    path = tmp_path / "half"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])

    assert str(path) in refusal(path)


@given(data=st.data())
def test_no_damage_gives_anything_but_bad_image(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever bytes are overwritten, a file becomes a photo or is refused as BadImage: no other error, no warning."""
    whole = io.BytesIO()
    format_ = data.draw(st.sampled_from(reading.FORMATS))
    PIL.Image.fromarray(photo_of()).save(whole, format_)
    content = bytearray(whole.getvalue())
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=9)
    ):
        content[place] = byte
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)

    with contextlib.suppress(BadImage):
        assert reading.load(path).shape[2] == 3


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 100), (100, 7)])
def test_a_photo_that_is_too_small_is_refused(tmp_path: Path, height: int, width: int) -> None:
    """Below 8 pixels on a side a photo is refused, with its size and the bound."""
    message = refusal(saved(tmp_path / "dot.png", photo_of(height, width)))

    assert f"{width} × {height}" in message
    assert "at least 8" in message


def test_the_smallest_photo_is_read(tmp_path: Path) -> None:
    """8 × 8 pixels are enough."""
    assert reading.load(saved(tmp_path / "small.png", photo_of(8, 8))).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "side",
    [8001, 9800, 20_000, 100_000],  # beyond our bound, Pillow's warning, Pillow's error, and absurdly far
)
def test_a_bomb_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    """A file that promises over 64 megapixels is refused for its size; this one has no pixels to decode."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header_of(side, side))

    message = refusal(path)

    assert "64 megapixels" in message
    assert "shrink it" in message


def test_the_bound_is_on_pixels(tmp_path: Path) -> None:
    """64 megapixels exactly pass the bound: this file is then refused for its missing pixels."""
    path = tmp_path / "large.png"
    path.write_bytes(png_header_of(8000, 8000))

    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_animations_and_pages_are_refused(tmp_path: Path, suffix: str) -> None:
    """A file of several frames or pages is refused with advice, rather than its first frame taken silently."""
    first, second = (PIL.Image.fromarray(photo_of(9, width)).resize((9, 9)) for width in (9, 10))
    first.save(tmp_path / f"film.{suffix}", save_all=True, append_images=[second])

    assert "extract one frame" in refusal(tmp_path / f"film.{suffix}")


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    """A file whose white level is unknown is refused."""
    path = saved(tmp_path / "float.tiff", np.ones((8, 8), dtype=np.float32))

    assert "floating-point" in refusal(path)


@pytest.mark.parametrize("level", [-1, 65536])
def test_integers_beyond_16_bits_are_refused(tmp_path: Path, level: int) -> None:
    """A 32-bit file is refused once it goes beyond 16 bits, rather than wrapped around."""
    path = saved(tmp_path / "deep.tiff", np.full((8, 8), level, dtype=np.int32))

    assert "more than 16 bits" in refusal(path)


def test_each_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked is what is decoded: a file swapped in between cannot be."""
    path = saved(tmp_path / "photo.png", photo_of())
    opened, really_open = [], Path.open

    def count(self: Path, mode: str) -> Any:
        opened.append(self)
        return really_open(self, mode)

    monkeypatch.setattr(Path, "open", count)

    reading.load(path)

    assert opened == [path]


def test_an_unknown_sample_lists_the_known_ones() -> None:
    """A sample that does not exist is answered with those that do."""
    with pytest.raises(UnknownName, match="astronaut, cat, coffee"):
        reading.load("sample:dog")


def test_a_sample_is_named_like_a_file() -> None:
    """The sample called cat is scikit-image's photo of Chelsea."""
    assert reading.load("sample:cat").shape == (300, 451, 3)


# --- many photos ---


def test_many_photos_are_looked_through_and_the_damaged_are_told(tmp_path: Path) -> None:
    """Each has its upright size or its reason, as reading it whole gives; one that is cut short at its end too."""
    whole = saved(tmp_path / "whole.jpg", photo_of(40, 64))
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    lying = saved(tmp_path / "lying.jpg", photo_of(40, 64), exif=turned)
    cut = {kind: saved(tmp_path / f"cut.{kind}", photo_of(40, 64)) for kind in ("jpg", "png", "webp", "bmp")}
    for path in cut.values():
        path.write_bytes(path.read_bytes()[:-30])
    gone = tmp_path / "gone.png"

    found = reading.sizes(map(str, [whole, lying, *cut.values(), gone, "sample:cat"]))

    assert {name: size for name, size in found.items() if not isinstance(size, BadImage)} == {
        str(whole): (40, 64), str(lying): (64, 40), "sample:cat": reading.load("sample:cat").shape[:2],
    }  # fmt: skip
    for path in (*cut.values(), gone):
        with pytest.raises(BadImage) as refused:
            reading.load(str(path))
        assert str(found[str(path)]) == str(refused.value)
