"""Files that a person names: whatever they turn out to be, an error says so before anything is asked."""

from __future__ import annotations

import logging
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery import money
from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.jobs.evaluate import npy_file
from bbquery.system import user_file
from bbquery.telemetry import LOGGER, JsonLines
from oracles._http import refusals
from oracles._local.efficientnet import checkpoint
from tests.support import onnx_models

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
READERS = {
    "photo": ["explain", "FILE", "--oracle", SIDES],
    "filling": ["explain", "photo.png", "--oracle", SIDES, "--method", "integrated:estimator=nes,baseline=image:FILE"],
    "template": ["explain", "photo.png", "--oracle", "http:url=http://127.0.0.1:9,template=FILE"],
    "labels": ["explain", "photo.png", "--oracle", "onnx:model=model.onnx,labels=FILE"],
    "model": ["explain", "photo.png", "--oracle", "onnx:model=FILE"],
    "log": ["explain", "photo.png", "--oracle", SIDES, "--max-queries", "5", "--log", "FILE"],
    "map": ["evaluate", "FILE", "photo.png", "--oracle", SIDES],
    "gradient": [
        "evaluate", "map.npy", "photo.png", "--oracle", SIDES, "--metrics", "gradient_cosine", "--gradient", "FILE",
    ],
    "verdicts": ["budget", "reconcile", "--csv", "FILE"],
    "answers": ["store", "import", "FILE"],
    "checked": ["store", "verify", "FILE"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a photo and a map, a folder, a pipe and a device, which is where commands are typed."""
    monkeypatch.chdir(tmp_path)
    Pillow.fromarray(np.random.default_rng(0).integers(150, 256, (24, 32, 3), dtype=np.uint8)).save("photo.png")
    np.save("map.npy", np.random.default_rng(0).normal(size=(24, 32)))
    onnx_models.classifier(tmp_path / "model.onnx")
    (tmp_path / "folder").mkdir()
    os.mkfifo("pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    return tmp_path


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "nowhere"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_wherever_a_file_is_read(
    reader: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder, a pipe, a device and what is not there end with exit code 2 and one line that names them."""
    if reader == "log" and kind == "nowhere":
        return  # a log is made

    code = main([part.replace("FILE", kind) for part in READERS[reader]])

    said = capsys.readouterr().err
    assert code == 2
    assert kind in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_prices_that_are_no_file_are_refused(kind: str, home: Path) -> None:
    """Your own prices are a file, or are not there; nothing else is taken for no prices."""
    home.mkdir(exist_ok=True)
    (home / money.USER_FILE).symlink_to(Path(kind).absolute())

    with pytest.raises(UsageError, match=r"cannot read your prices '.*prices\.toml': it is a"):
        money.token_price("openai", "gpt-4o")


def test_a_file_that_is_too_large_is_not_read_whole(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people write is not larger than the limit, which the message says."""
    monkeypatch.setattr(user_file, "LARGEST_TEXT", 1_000_000)
    (here / "large.toml").write_bytes(b"#" * 1_000_001)

    with pytest.raises(UsageError, match=r"'large\.toml': it is larger than 1 MB"):
        user_file.parsed_toml(Path("large.toml"), "the template")


@pytest.mark.parametrize(("name", "content"), [("deep.json", "[" * 100_000), ("deep.toml", "a = " + "[" * 100_000)])
def test_a_file_that_is_nested_too_deeply_is_refused(here: Path, name: str, content: str) -> None:
    """Depth that no parser follows is said, and is no traceback."""
    (here / name).write_text(content)
    parsed = user_file.parsed_json if name.endswith("json") else user_file.parsed_toml

    with pytest.raises(UsageError, match="nested too deeply"):
        parsed(Path(name), "the template")


@pytest.mark.parametrize(
    "shape", ["(1000000000, 1000000000)", "(99999999, 10)", "(True, True)", "(False, 5)", "(-1, -6)", "(1e9,)", "(24,)"]
)
def test_an_array_that_promises_more_than_its_file_has_is_refused(here: Path, shape: str) -> None:
    """No memory is set aside for what is not there, and a truth value is no size."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(48)
    (here / "odd.npy").write_bytes(content)

    with pytest.raises(UsageError, match=r"cannot read the map 'odd\.npy': it is no \.npy file"):
        npy_file.read(Path("odd.npy"), "map")


@pytest.mark.parametrize(
    "program",
    [
        b"K\x01r" + struct.pack("<I", 1_000_000_000) + b".",  # keeps 1 as number 1,000,000,000: room for 8 GB
        b"K\x01p1000000000\n.",
        b"\x8e" + struct.pack("<Q", 8_000_000_000) + b".",  # eight gigabytes of bytes follow, it says
        b"\x96" + struct.pack("<Q", 8_000_000_000) + b".",
        b"\x8d" + struct.pack("<Q", 8_000_000_000) + b".",
    ],
)
def test_a_checkpoint_cannot_ask_for_memory_that_it_does_not_fill(program: bytes) -> None:
    """A few bytes that would have gigabytes set aside are refused before they are run."""
    head = b"".join(pickle.dumps(part, 2) for part in (checkpoint.MAGIC, checkpoint.PROTOCOL, {"little_endian": True}))

    with pytest.raises(UsageError, match=r"cannot read the checkpoint model\.pth"):
        checkpoint.read(head + program, "model.pth")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_on_a_full_disk_costs_no_result(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on without its log, says so once, and ends with its own exit code."""
    monkeypatch.setattr(JsonLines, "_open", lambda _: Path("/dev/full").open("w"))  # noqa: SIM115 - the handler closes

    code = main(["explain", "photo.png", "--oracle", SIDES, "--max-queries", "5", "--log", "run.log", "--out", "out"])

    said = capsys.readouterr().err
    assert code == 0
    assert (here / "out" / "run.json").is_file()
    assert said.count("the log run.log could not be written in full (No space left on device)") == 1
    assert "Logging error" not in said


def test_a_program_that_logs_what_cannot_be_formatted_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors that are not the disk's are reported as the logging library does."""
    handler = JsonLines(here / "run.log")
    try:
        handler.handle(logging.LogRecord(LOGGER.name, logging.INFO, "", 0, "%d", ("no number",), None))
    finally:
        handler.close()

    assert handler.failed is None
    assert "no number" in capsys.readouterr().err


@pytest.mark.parametrize("odd", [[], ["a"], {}, {"a": 1}, 7, 1.5, True, None, [[]], float("nan")])
@pytest.mark.parametrize("key", ["type", "code", "message", "param", "status"])
def test_a_refusal_with_fields_of_any_kind_is_read(key: str, odd: object) -> None:
    """An error whose type is a list, or whose code is a mapping, is still an error with a message."""
    found = refusals.of({"error": {"message": "too bad", "type": "bad", key: odd}})

    assert isinstance(found.message, str)
    assert refusals.outcome(found, found.message, oracle="any", status=500) is not None
