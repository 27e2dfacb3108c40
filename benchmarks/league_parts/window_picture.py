"""Mokuwe et al.'s figure 4: the windows that Bayesian optimisation asked for, as points, beside the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.plan import replay
from bbquery.types import UINT8

from .network import Model, Subject, chosen
from .setting import seed_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.types import Image, Scores

    from .setting import Setting

NAME = "bayes_windows.jpg"
QUERIES = 200


def draw(setting: Setting) -> None:
    """Explain the first photo of the league and draw it; answers are kept with the league's."""
    model = Model(setting.threads)
    photo = chosen(setting.shared / "images", 1)[0]
    subject = Subject(model, photo.stem, model.sent(photo), setting.data / "answers")
    method = setting.made("bayes:batch=1", QUERIES)
    if method is None:
        return
    hidden: list[tuple[float, float, float, float]] = []

    def answer(ask: Ask) -> Scores:
        scores = subject.answer(ask)
        images = [ask.images[row] for row in range(len(ask.images))]
        hidden.extend(
            (*window(subject.x, image), float(subject.clean[subject.target] - value))
            for image, value in zip(images, scores.value, strict=True)
        )
        return scores

    values = replay(method.plan(subject.x, UINT8, seed_of(subject.name, 0)), answer).values
    subject.save()
    _save(setting, subject.x, values, np.array([row for row in hidden if row[2]]))


def window(x: Image, image: Image) -> tuple[float, float, float]:
    """Return the middle (across, down) and the longer side of what is not as in x; zeros where all is."""
    down, across = np.nonzero((x != image).any(axis=-1))
    if not len(down):
        return 0.0, 0.0, 0.0
    side = max(np.ptp(down), np.ptp(across)) + 1
    return float(across.min() + across.max() + 1) / 2, float(down.min() + down.max() + 1) / 2, float(side)


def _save(setting: Setting, x: Image, values: NDArray[np.float64], hidden: NDArray[np.float64]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    points = figure.add_subplot(1, 3, 1, projection="3d")
    seen = points.scatter(*hidden[:, :3].T, c=hidden[:, 3], cmap="viridis", s=8)
    points.set(xlabel="x", ylabel="y", zlabel="window", xlim=(0, x.shape[1]), ylim=(x.shape[0], 0))
    figure.colorbar(seen, ax=points, shrink=0.6, pad=0.18, label="probability lost")
    figure.add_subplot(1, 3, 2).imshow(x)
    drawn = figure.add_subplot(1, 3, 3)
    drawn.imshow(x.mean(axis=-1), cmap="gray")
    drawn.imshow(values, cmap="viridis", alpha=0.6)
    for axis in figure.axes[2:4]:
        axis.set_axis_off()
    setting.pictures.mkdir(parents=True, exist_ok=True)
    figure.savefig(setting.pictures / NAME, dpi=90, pil_kwargs={"quality": 85})
