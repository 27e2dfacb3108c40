"""Layers of the networks, and the classes of the one that is not ImageNet's."""

from __future__ import annotations

from bbquery.types import Classes
from oracles._local.efficientnet import graph

LITE1 = graph.Architecture(
    "efficientnet-lite1",
    240,
    (  # those of Lite0 with 1.1 × the depth
        graph.Stage(1, 3, 1, 1, 16),
        graph.Stage(3, 3, 2, 6, 24),
        graph.Stage(3, 5, 2, 6, 40),
        graph.Stage(4, 3, 2, 6, 80),
        graph.Stage(4, 5, 1, 6, 112),
        graph.Stage(5, 5, 2, 6, 192),
        graph.Stage(1, 3, 1, 6, 320),
    ),
    centre=127,
    scale=128,
)
LITE2 = graph.Architecture(
    "efficientnet-lite2",
    260,
    (  # those of Lite0 with 1.2 × the depth and 1.1 × the width, channels in eights
        graph.Stage(1, 3, 1, 1, 16),
        graph.Stage(3, 3, 2, 6, 24),
        graph.Stage(3, 5, 2, 6, 48),
        graph.Stage(4, 3, 2, 6, 88),
        graph.Stage(4, 5, 1, 6, 120),
        graph.Stage(5, 5, 2, 6, 208),
        graph.Stage(1, 3, 1, 6, 352),
    ),
    centre=127,
    scale=128,
)
MOBILENET = graph.Architecture(
    "mobilenetv2",
    160,
    (  # Sandler et al., "MobileNetV2", CVPR 2018, table 2
        graph.Stage(1, 3, 1, 1, 16),
        graph.Stage(2, 3, 2, 6, 24),
        graph.Stage(3, 3, 2, 6, 32),
        graph.Stage(4, 3, 2, 6, 64),
        graph.Stage(3, 3, 1, 6, 96),
        graph.Stage(3, 3, 2, 6, 160),
        graph.Stage(1, 3, 1, 6, 320),
    ),
    centre=127.5,
    scale=127.5,
)
BREEDS = Classes(  # those that the package names, as its training sorted them: by WordNet ID
    names=(
        ("Chihuahua",),
        ("Maltese dog",),
        ("Shih-Tzu",),
        ("papillon",),
        ("Yorkshire terrier",),
        ("West Highland white terrier",),
        ("golden retriever",),
        ("Labrador retriever",),
        ("Rottweiler",),
        ("German shepherd",),
        ("Doberman",),
        ("bull mastiff",),
        ("French bulldog",),
        ("Siberian husky",),
        ("pug",),
        ("Samoyed",),
        ("Pomeranian",),
        ("toy poodle",),
        ("miniature poodle",),
    ),
    keys=(
        *("n02085620", "n02085936", "n02086240", "n02086910", "n02094433", "n02098286", "n02099601"),
        *("n02099712", "n02106550", "n02106662", "n02107142", "n02108422", "n02108915", "n02110185"),
        *("n02110958", "n02111889", "n02112018", "n02113624", "n02113712"),
    ),
)
