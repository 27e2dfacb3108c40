"""MI-FGSM on likelihood-ratio gradients of a hard label, as published (Zhang et al.); to compare with `lr_mifgsm`.

Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", section 4.3 and C.1: 10 steps of
n = 1,000 copies (eq. 2, not centred) with noise of variance 1.0 in every value, μ = 1, on the value of the label alone.
Sign steps of α = ε / 10 in a fixed ball, so that the iterates pass through every RMSE up to ε, and each is asked. For
comparison: where the label is constant around the photo, this follows a random sign pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

from bbquery.attacks import Norm  # noqa: TC001 - options are made by their annotations
from bbquery.attacks.lr_mifgsm import Ball, LrMifgsm, Noise


@dataclass(frozen=True, kw_only=True)
class PublishedLrMifgsm(LrMifgsm):
    """`LrMifgsm` as published.

    Args:
        sigma: standard deviation of the noise, in grey levels: 57.4 are a standard deviation of 1 after the
            usual ImageNet normalisation (0.225 of 255), which is what the paper's "variance 1.0" is taken to
            mean; above 0.
    """

    steps: int | None = 10
    sigma: float | None = 57.4
    noise: Noise = "full"
    centred: bool = False
    value_weight: float = 1.0
    ball: Ball = "fixed"
    norm: Norm = "linf"


ATTACK = PublishedLrMifgsm
