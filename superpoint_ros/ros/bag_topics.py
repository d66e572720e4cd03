# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which of a bag's topics are processed, and where their features go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from superpoint_ros.data.sequences.bags import image_topics, info_topic_of, open_bag


def choose_topics(there: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """
    Return the topic of the features for each topic of images.

    `there` are a bag's topics of images; all count unless some are `wanted`, each by itself or as
    'images:features'. Features are published beside the images, as the node has it: those of
    /left/image_raw at /left/features. Of a camera's raw and compressed images the raw ones count.
    Raises ValueError for a topic that is not there and where two would have one name.
    """
    pairs = [word.partition(':') for word in wanted]
    if not pairs:
        raw = {name for name in there if not name.endswith('/compressed')}
        kept = [name for name in there if name in raw or name[: -len('/compressed')] not in raw]
        pairs = [(name, '', '') for name in kept]
    if not pairs:
        raise ValueError('there is no topic of images')
    chosen: dict[str, str] = {}
    for images, _, features in pairs:
        if images not in there:
            raise ValueError(
                f'there are no images on {images}; topics of images: {", ".join(there) or "none"}'
            )
        features = features or f'{info_topic_of(images).rpartition("/")[0]}/features'
        if features in chosen.values():
            raise ValueError(
                f'the features of two topics would be on {features}: name others, as in '
                f'{images}:{features}_2'
            )
        chosen[images] = features
    return chosen


def count_images(path: str | Path, wanted: Sequence[str]) -> int:
    """Return how many images the topics of a bag have; raise ValueError as `choose_topics`."""
    with open_bag(path) as reader:
        topics = choose_topics(image_topics(reader), wanted)
        return sum(reader.topics[name].msgcount for name in topics)
