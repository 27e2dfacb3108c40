"""The part "digit_noise": GEEX's ablation on the digits: σ, how much noise is added, and r, masks drawn smaller.

Judged as the part "digits" judges: the area over the perturbation curve of integrated maps, one pixel a step to black.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.metrics.aopc import aopc
from bbquery.plan import replay
from bbquery.types import FLOAT

from .digits import METRIC, Digits
from .setting import seed_of

if TYPE_CHECKING:
    from .setting import Setting

PART = "digit_noise"
BUDGETS = (500, 5000)
SIGMAS = (4, 16, 64, 127, 255, 510)
RATIOS = (1.0, 0.5, 0.25)
USUAL = 127  # GEEX's masks have variance 1/4 of the whole range
METHODS = {f"σ = {sigma}, r = {1.0:g}": (sigma, 1.0) for sigma in SIGMAS}
METHODS |= {f"σ = {USUAL}, r = {ratio:g}": (USUAL, ratio) for ratio in RATIOS}


def run(setting: Setting) -> None:
    """Measure what is missing, setting by setting."""
    network: Digits | None = None
    for name in METHODS:
        for budget in BUDGETS:
            for number in range(setting.tier.digits):
                if setting.missing(PART, f"digit-{number:03}", name, budget):
                    network = network or Digits()
                    _measure(setting, network, number, name, budget)
        print(f"{PART}: {name}", flush=True)


def _measure(setting: Setting, network: Digits, number: int, name: str, budget: int) -> None:
    (sigma, ratio), subject = METHODS[name], f"digit-{number:03}"
    noise = f"estimator=nes,estimator.sigma={sigma},estimator.resize={ratio}"
    method = setting.made(f"integrated:{noise},baseline=black", budget)
    if method is None:
        return
    x, seed = network.held_out[number], seed_of(subject, 0)
    ask = network.explained(x)
    values = replay(method.plan(x, FLOAT, seed), ask).values
    curves = replay(METRIC.plan(x, FLOAT, values, seed), ask)
    setting.keep(PART, subject, name, budget, {"AOPC": aopc(curves.deletion)})
