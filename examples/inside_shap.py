"""Let SHAP explain a model that can only be asked, within a budget: its partition explainer over `predict_fn`.

    python inside_shap.py                                                   # an ImageNet model on this machine
    python inside_shap.py photo.jpg --oracle google_vision --target Cat --max-queries 300

A second run is free: every answer is kept. It needs shap, which bbquery does not bring.
"""

import argparse
from pathlib import Path

import numpy as np
import shap

from bbquery.interop import predict_fn
from bbquery.report.overlay import overlay_png

parser = argparse.ArgumentParser(description="Let SHAP explain a model that can only be asked.")
parser.add_argument("photo", nargs="?", default="sample:cat", help="a file, or sample:NAME (default: %(default)s)")
parser.add_argument("--oracle", default="efficientnet", help="whom to ask, NAME[:key=value,…] (default: %(default)s)")
parser.add_argument("--target", help="the class or label (default: the top one of the photo)")
parser.add_argument("--max-queries", type=int, default=200)
parser.add_argument("--out", type=Path, default=Path("inside-shap"))
chosen = parser.parse_args()

with predict_fn(
    chosen.oracle, targets=chosen.target, reference=chosen.photo, max_queries=chosen.max_queries
) as predict:
    photo = predict.fit(chosen.photo)
    hidden = shap.maskers.Image(np.full_like(photo, 128), photo.shape)
    explainer = shap.Explainer(predict, hidden, output_names=list(predict.columns))
    # the reference and the two images that SHAP begins with are queries as well
    found = explainer(photo[None], max_evals=chosen.max_queries - 3, batch_size=64, silent=True)
    (target,) = predict.columns
    print(f"explained {target!r}; {predict.tally}")

values = found.values[0, ..., 0].sum(axis=2)  # (H, W): the sum over the channels
chosen.out.mkdir(parents=True, exist_ok=True)
np.save(chosen.out / "shap.npy", values)
title, caption = f"Evidence for “{target}”", f"SHAP · {chosen.oracle} · {predict.tally.asked} queries"
picture = overlay_png(photo, values, signed=True, title=title, caption=caption, unit="SHAP value")
(chosen.out / "shap.png").write_bytes(picture)
print(chosen.out / "shap.npy", chosen.out / "shap.png", sep="\n")
