"""The metrics that can be asked for by name, and what each of them needs."""

from __future__ import annotations

METRICS = {
    "srg": "deletion, insertion and their difference",
    "aopc": "the share of the score that is lost, on average, while pixels are hidden",
    "infidelity": "how far the losses that the map foretells are from the score's",
    "mu_fidelity": "how the losses that the map foretells go along with the score's",
    "r_sal": "the share of the map's positive side inside the boxes",
    "pointing": "whether the map's peak is at most 15 pixels from a box",
    "repeatability": "how alike the map and those of other seeds rank the pixels",
    "max_sensitivity": "how far the map moves when the photo all but stays",
    "grid_pointing": "the share of the positive map in the photo's cell of a montage with other photos",
    "gradient_cosine": "the cosine between an estimated gradient and one that was computed elsewhere",
}
"""What can be measured, by name."""

OF_BOXES = ("r_sal", "pointing")
"""They need a box."""

OF_METHOD = ("repeatability", "max_sensitivity", "grid_pointing")
"""They explain again, so they need the method that made the map, and cost as many queries as whole maps do."""

ONLY_WHEN_NAMED = (*OF_METHOD, "gradient_cosine")
"""They cost more than the others together, or need what only a person can give."""

CURVES, INFIDELITY, MU_FIDELITY = "curves", "infidelity", "mu_fidelity"
REPEATS, MOVED, IN_MONTAGE, GRADIENT = "repeats", "moved", "in_montage", "gradient"
QUESTIONS_OF = {
    "srg": CURVES,
    "aopc": CURVES,
    "infidelity": INFIDELITY,
    "mu_fidelity": MU_FIDELITY,
    "repeatability": REPEATS,
    "max_sensitivity": MOVED,
    "grid_pointing": IN_MONTAGE,
    "gradient_cosine": GRADIENT,
}
"""Which question a metric's answers come from; metrics of boxes ask nothing."""
