"""The likelihood-ratio paper's tables 2 and 3 beside ours (Zhang et al., section 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from networks import NETWORKS
from networks.architectures import BREEDS

from bbquery.specification import parse

from .tables import NONE, THRESHOLDS, Game, markdown, share_text, shown, within
from .transfer import GRADIENT, QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST, TRANSFER_QUERIES = 10_000, 1000
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

In % of photos that were changed for one network and fool another: 10 steps within L∞ ≤ 10/255.

Theirs: surrogates ResNet-101 and Inception-v3, ImageNet photos that all networks label correctly; ResNet-18 and ViT-B
are their first and their last column; how many copies an estimated gradient takes is not said for this table. Ours:
surrogate EfficientNet-Lite0, {queries:,} queries of it a photo for all ten steps together, or backpropagation, ε and
steps as theirs; photos that the network which is to be fooled labels correctly (of the dogs all: see above). How a map
without signs becomes a step is ours (`bbquery help mig`).
"""


def breeds() -> frozenset[str]:
    """Return the WordNet IDs that the network of dogs knows."""
    return frozenset(BREEDS.keys)


def section(games: Mapping[tuple[str, str], Game]) -> str:
    """Return both tables, of the rows by network and kind of answer."""
    text = TABLE_2_TEXT.format(queries=TRANSFER_QUERIES)
    return "\n".join([OPENING, _third(games.get(("lite0", "lists"))), text, _second(games)])


def _third(lists: Game | None) -> str:
    marks = lists.marks([1000, LONGEST]) if lists else []
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


def _second(games: Mapping[tuple[str, str], Game]) -> str:
    ours = [network for network in NETWORKS if (network, "transfer") in games]
    lines = []
    for kind, told in ((GRADIENT, "backpropagated"), (QUERIES, "through queries")):
        for name, by_kind in TABLE_2.items():
            theirs = by_kind[kind == QUERIES]
            cells = [NONE] * 2 if theirs is None else [f"{value:.1f}" for value in theirs]
            found = [_fooled(games[network, "transfer"], f"mig:map={name},surrogate={kind}") for network in ours]
            if any(cell != NONE for cell in (*cells, *found)):
                lines.append([f"{name}, {told}", *cells, *found])
    return markdown(("map", "paper, ResNet-18", "paper, ViT-B", *(f"ours, {network}" for network in ours)), lines)


def _fooled(game: Game, attack: str) -> str:
    found = game.distances(attack, TRANSFER_QUERIES, "S1")
    return f"{share_text(found, 1.0)}, n={len(found)}" if found else NONE
