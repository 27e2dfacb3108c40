"""LIME, SHAP and Captum over `predict_fn`: the snippets of docs/interop.md, with a model whose answer is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import BudgetExhausted
from bbquery.interop import predict_fn
from tests.support.bookkeeping import guard_caps
from tests.support.counted import Counted
from tests.support.interop import oracle
from tests.support.models import corner
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger

PAGE = (ROOT / "docs" / "interop.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SIDE = 32
SIDE_FOR_LIME = 96  # pixels, which quickshift cuts into eight segments


@dataclass
class Ran:
    """What a snippet left behind. shown: the images that the model saw."""

    names: dict[str, Any]
    shown: list[Any]
    posted: int

    def __getattr__(self, name: str) -> Any:
        return self.names[name]


def model(shown: Counted, side: int = SIDE) -> Any:
    return oracle(shown, classes="corner|rest", height=side, width=side)


def run(library: str, ledger: Ledger, side: int = SIDE) -> Ran:
    """Run the snippet that imports this library, with a small model in place of the big one."""
    guard_caps(ledger)
    shown = Counted(corner)
    (block,) = [block for block in BLOCKS if re.search(rf"^(from|import) {library}\b", block, re.MULTILINE)]
    source = block.replace('"efficientnet"', "oracle, ledger=ledger").replace('"tiger cat"', '"corner"')
    names: dict[str, Any] = {"oracle": model(shown, side), "ledger": ledger}
    exec(compile(source, f"docs/interop.md ({library})", "exec"), names)
    budget = ledger.find_budget(names["predict"].tally.budget)
    return Ran(names, shown.shown, ledger.budget(budget).posted.queries)


def distinct(shown: list[Any]) -> int:
    return len({image.tobytes() for image in shown})


@pytest.mark.filterwarnings("ignore")  # what LIME warns of is its own
def test_lime_explains(ledger: Ledger) -> None:
    """LIME asks as many rows as it was told, pays for the distinct ones, and finds what each segment adds."""
    ran = run("lime", ledger, SIDE_FOR_LIME)

    weights = dict(ran.found.local_exp[0])
    alone = [corner(np.where(ran.found.segments[..., None] == segment, ran.photo, 0))[0] for segment in weights]
    assert ran.predict.tally.asked == 300
    assert 100 < ran.posted == ran.predict.tally.sent == len(ran.shown) == distinct(ran.shown)
    assert np.corrcoef(list(weights.values()), alone)[0, 1] > 0.99


@pytest.mark.filterwarnings("ignore")  # what SHAP warns of is its own
def test_kernel_shap_explains(ledger: Ledger) -> None:
    """KernelSHAP's values add up to the difference between photo and nothing; pieces that do not count have none."""
    ran = run("shap", ledger)

    outside = [piece for piece in range(ran.pieces) if not (ran.segments == piece)[: SIDE // 2, : SIDE // 2].any()]
    assert ran.values.sum() == pytest.approx(corner(ran.photo)[0] - 128 / 255)
    assert outside
    assert np.abs(ran.values[0, outside]).max() < 1e-6
    assert ran.posted == ran.predict.tally.sent == len(ran.shown) == distinct(ran.shown) <= 260


@pytest.mark.filterwarnings("ignore")  # what Captum warns of is its own
def test_captum_explains(ledger: Ledger) -> None:
    """Occlusion of the corner is the difference that hiding it makes; of all else, nothing; five images are asked."""
    ran = run("captum", ledger)

    found, photo = ran.found[0, 0].numpy(), ran.photo[0].permute(1, 2, 0).numpy()
    expected = corner(photo)[0] - 128 / 255
    assert np.allclose(found[: SIDE // 2, : SIDE // 2], expected, atol=1e-6)
    assert np.abs(found[SIDE // 2 :]).max() == np.abs(found[:, SIDE // 2 :]).max() == 0
    assert ran.posted == ran.predict.tally.sent == len(ran.shown) == 5


@pytest.mark.filterwarnings("ignore")  # what LIME warns of is its own
def test_a_library_cannot_overspend(ledger: Ledger) -> None:
    """LIME told to ask more than the budget ends with the budget's error, and the model saw no image beyond it."""
    from lime.lime_image import LimeImageExplainer

    guard_caps(ledger)
    shown = Counted(corner)

    with (
        predict_fn(model(shown, SIDE_FOR_LIME), max_queries=40, ledger=ledger) as predict,
        pytest.raises(BudgetExhausted),
    ):
        LimeImageExplainer(random_state=0).explain_instance(
            predict.fit("sample:cat"), predict, hide_color=0, num_samples=500, random_seed=0
        )

    assert len(shown.shown) == predict.tally.posted.queries == 40


def test_the_shap_example_is_the_documented_one() -> None:
    """The lines that the page quotes from the example stand in it."""
    (block,) = [block for block in BLOCKS if "maskers" in block]
    script = (ROOT / "examples" / "inside_shap.py").read_text(encoding="utf-8")

    lines = [line.strip() for line in script.splitlines()]
    quoted = block.splitlines()
    start = lines.index(quoted[0])
    assert lines[start : start + len(quoted)] == quoted


def test_every_snippet_is_python() -> None:
    """Each snippet of the page can be compiled."""
    for block in BLOCKS:
        compile(block, "docs/interop.md", "exec")

    assert len(BLOCKS) == 7
