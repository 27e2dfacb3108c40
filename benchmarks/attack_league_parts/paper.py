"""The likelihood-ratio paper's tables 2 and 3 beside ours (Zhang et al., section 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.specification import parse

from .networks import BREEDS
from .tables import NONE, THRESHOLDS, Game, markdown, shown, within

if TYPE_CHECKING:
    from collections.abc import Sequence

QUERIES = 10_000
TABLE_3 = {  # of 50 photos, successes within RMSE .1, .05 and .01 with 10,000 queries
    "opt": (9, 4, 4),
    "signopt": (13, 6, 5),
    "hsja": (17, 8, 8),
    "qeba": (15, 9, 6),
    "geoda": (21, 15, 11),
    "surfree": (23, 10, 9),
    "triangle": (32, 17, 14),
    "lr_mifgsm_paper": (41, 33, 25),
}
TABLE_2 = {  # per cent of transferred attacks, by surrogates white-box and through queries: ResNet-18 and ViT-B
    "RISE": (None, (21.5, 34.9)),
    "vanilla": ((58.3, 81.0), (59.6, 81.6)),
    "smooth": ((60.3, 80.3), (62.4, 82.0)),
    "var": ((60.5, 81.9), (62.4, 82.3)),
    "integrated": ((69.1, 84.9), (72.3, 86.7)),
}

OPENING = """## The paper's tables 2 and 3 beside ours

Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", section 4.3. None of their
numbers was measured on what stands beside them here, so read the order of methods and not the values.

### Table 3: photos of 50 that fool a label-list API, by RMSE ≤ .1 / .05 / .01

Theirs: Google's Vision API, 50 photos of their own choice, at most 10,000 queries each; whether distances are of
rounded pixels, which label of the list counts, and whether the final image was asked again is not said.

Ours: what our emulator of that API serves, EfficientNet-Lite0's classes with their probabilities, asked in this process
and the first five of them; photos that the network labels correctly; at most as many queries as the column says;
everything rounded before it is asked; success by S2. In brackets the share in %. Google's network names things of many
kinds in one list; EfficientNet-Lite0 is undefended and nearer to its boundary, so that .1 and .05 hardly tell attacks
apart.
"""

TABLE_2_TEXT = """### Table 2: transfer of MIG, ε = 10/255

Theirs, in % of adversarial photos that fool another network (surrogates ResNet-101 and Inception-v3, L∞ ≤ 10/255, 10
steps): ResNet-18 and ViT-B, their first and their last column.
"""

NOT_MEASURED = """Ours is not measured: the paper's networks are not in this project, and a transferred attack asks its
surrogate, not the network that it fools, so that no column of queries describes it.
"""


def breeds() -> frozenset[str]:
    """Return the WordNet IDs that the network of dogs knows."""
    return frozenset(BREEDS.keys)


def section(lists: Game | None) -> str:
    """Return both tables. lists: the rows of EfficientNet-Lite0 with lists of labels."""
    return "\n".join([OPENING, _third(lists), TABLE_2_TEXT, _second(), NOT_MEASURED])


def _third(lists: Game | None) -> str:
    marks = lists.marks([1000, QUERIES]) if lists else []
    lines = []
    for attack in lists.attacks if lists else TABLE_3:
        theirs = TABLE_3.get(parse(attack)[0])
        told = "/".join(map(str, theirs)) if theirs else NONE
        cells = [_counts(lists, attack, mark) for mark in marks if lists]
        lines.append([shown(attack), told, *cells])
    return markdown(("attack", "paper, 10,000", *(f"ours, {mark:,}" for mark in marks)), lines)


def _counts(lists: Game, attack: str, mark: int) -> str:
    found = lists.distances(attack, mark, "S2")
    if not found:
        return NONE
    shares: Sequence[float] = [within(found, threshold).value for threshold in THRESHOLDS]
    counts = "/".join(str(round(share * len(found))) for share in shares)
    return f"{counts} of {len(found)} ({'/'.join(f'{100 * share:.0f}' for share in shares)})"


def _second() -> str:
    lines = []
    for name, (white, black) in TABLE_2.items():
        cells = [NONE] * 2 if white is None else [f"{value:.1f}" for value in white]
        lines.append([name, *cells, *(f"{value:.1f}" for value in black)])
    header = ("gradient", "white-box, ResNet-18", "white-box, ViT-B", "through queries, ResNet-18", "…, ViT-B")
    return markdown(header, lines)
