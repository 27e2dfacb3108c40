"""Draft of a plan: a TOML file with a comment beside every choice, for a person to go on with."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bbquery.jobs.defaults import DEFAULT_METHOD

EACH = 300  # queries for a map of a photo: enough for a first look, and seldom a shock
HEAD = """\
# Plan of an audit. What it would cost, without asking:  bbquery audit {file} --dry-run
# Then run it:                                           bbquery audit {file}
# The same command goes on after a stop, a raised cap or an added photo, and pays only what is missing.
# Every key: 'bbquery audit schema'. An editor completes them by 'bbquery audit schema --out audit.schema.json' and
# a first line '#:schema ./audit.schema.json'. Keys of vendors stay in the environment: none belongs here.
"""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is known of a plan. Paths count from the plan's folder. None and empty: not stated."""

    name: str
    photos: tuple[str, ...]
    oracles: tuple[str, ...]
    outside: bool = False
    target: str | None = None
    method: str = DEFAULT_METHOD
    attack: str | None = None
    max_queries: int | None = None
    max_usd: str | None = None

    def text(self, file: str) -> str:
        """Return the plan in TOML. file: what it will be called."""
        return "\n".join((HEAD.format(file=file), self._top, self._oracles, self._asked, self._caps, GATES))

    @property
    def _top(self) -> str:
        outside = (
            "allow_outside = true            # photos may lie outside this file's folder\n" if self.outside else ""
        )
        return (
            f"name = {quoted(self.name)}  # of its budgets and its folder: the same name goes on where it stopped\n"
            "seed = 0                        # decides every random choice\n\n"
            "[photos]\n"
            "# Files, folders, patterns, samples, CSV files of photo,label,box; paths count from this file's folder\n"
            f"from = [{', '.join(map(quoted, self.photos))}]\n"
            '# limit = 40\n# order = "random"              # by the seed: a limit then leaves a random sample\n'
            f"{outside}"
        )

    @property
    def _oracles(self) -> str:
        target = '# target = "tabby"              # left out: the top class; {label}: the photo\'s own in a CSV file\n'
        if self.target is not None:
            target = f"target = {quoted(self.target)}\n"
        return "\n".join(
            f"[[oracles]]\nname = {quoted(name)}\noracle = {quoted(oracle)}\n{target}"
            "# max_usd = 50                  # a cap of this model alone; also max_queries, max_tokens\n"
            "# requests_per_minute = 600     # for --dry-run, where nothing is known of its limits\n"
            for name, oracle in zip(_names(self.oracles), self.oracles, strict=True)
        )

    @property
    def _asked(self) -> str:
        attack, off = self.attack or "lr_boundary", "" if self.attack else "# "
        return (
            "[explain]                       # maps of each photo on each model\n"
            f"methods = [{quoted(self.method)}]\n"
            f"max_queries = {EACH}               # of each method, for one photo\n"
            '# metrics = ["srg"]             # measures fidelity, which min_fidelity judges\n\n'
            f"{off}[attack]                        # adversarial images of each photo on each model\n"
            f"{off}attacks = [{quoted(attack)}]\n"
            f"{off}max_queries = 1000              # of each attack, for one photo\n"
            f"{off}rmse = [0.1, 0.05, 0.01]        # distances at which robustness is reported\n\n"
            "# [repeat]\n# times = 3                     # how often each photo is asked: does its label stay?\n"
        )

    @property
    def _caps(self) -> str:
        queries = "# max_queries = 50000" if self.max_queries is None else f"max_queries = {self.max_queries}"
        usd = "# max_usd = 20" if self.max_usd is None else f"max_usd = {quoted(self.max_usd)}"
        return (
            "[caps]                          # of the whole audit: a photo begins only where its worst case fits\n"
            f"{queries}\n{usd}\n# max_hours = 12\n# photo = {{ max_usd = 0.50 }}     # of one photo on one model\n"
        )


OUTSIDE = "allow_outside = true            # photos may lie outside this file's folder\n"
GATES = """\
[gates]                         # exit code 5 where one is not met
# max_refusals = 0.1            # share of photos without an answer
# no_drift = true               # the model may not change meanwhile
# min_fidelity = 0.2            # needs metrics = ["srg"]
# max_label_flips = 0.05        # needs [repeat]
# min_robust_share = { rmse = 0.01, share = 0.9 }     # needs [attack]
"""


def quoted(text: str) -> str:
    """Return a text in TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _names(oracles: tuple[str, ...]) -> list[str]:
    """Return a name for each oracle that a folder can have: that of its kind, numbered where several are of one."""
    kinds = [oracle.partition(":")[0].rpartition(".")[2] or "model" for oracle in oracles]
    return [
        kind if kinds.count(kind) == 1 else f"{kind}-{kinds[:place].count(kind) + 1}"
        for place, kind in enumerate(kinds)
    ]
