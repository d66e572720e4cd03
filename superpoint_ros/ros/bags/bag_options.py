# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The options of processing a bag, among them the topics of its images and of their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import re

import numpy as np

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.data.sequences.bag_reader import open_bag
from superpoint_ros.data.sequences.bags import (
    image_topics,
    info_topic_of,
    without_transports,
)

_FULL_TOPIC_NAME = re.compile('(/[A-Za-z_][A-Za-z0-9_]*)+')


@dataclass(frozen=True)
class BagOptions(SettingsGroup):
    """Options of processing a bag; `mask` is uint8 (H, W), 0 where no keypoints are allowed."""

    topics: tuple[str, ...] = setting(
        (), 'Topics of images, or IMAGES:FEATURES to name the topic of the features; none: all.'
    )
    descriptor_format: str = setting(
        'float32', 'Number type of the published descriptors.', choices=('float32', 'int8')
    )
    normalized_coordinates: bool = setting(
        False, 'Add undistorted coordinates, which need the camera_info topic of the images.'
    )
    batch: int = setting(1, 'Number of images per network call.', range=(1, None))
    storage: str = setting(
        'same',
        'Storage of the new bag; same: that of the bag.',
        choices=('same', 'mcap', 'sqlite3'),
    )
    mask: np.ndarray | None = None


def choose_topics(available: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """
    Return the topic of the features for each topic of images.

    `available` are a bag's topics of images. All are chosen unless some are `wanted`, each alone
    or as 'images:features'; of a camera's raw and compressed images the raw ones are chosen. As in
    the node, the features of /left/image_raw are on /left/features. Raises ValueError for a topic
    that does not exist, for two features topics of one name, or for a name that ROS refuses.
    """
    pairs = [word.partition(':') for word in wanted]
    if not pairs:
        pairs = [(name, '', '') for name in without_transports(available)]
    if not pairs:
        raise ValueError('there is no topic of images')
    chosen: dict[str, str] = {}
    for images, _, features in pairs:
        if images not in available:
            raise ValueError(
                f'there are no images on {images}; topics of images: '
                f'{", ".join(available) or "none"}'
            )
        if features and not _FULL_TOPIC_NAME.fullmatch(features):
            raise ValueError(
                f'{features!r} cannot be a topic of features: write /NAME, with letters, digits '
                'and _'
            )
        features = features or f'{info_topic_of(images).rpartition("/")[0]}/features'
        if features in chosen.values():
            raise ValueError(
                f'the features of two topics would be on {features}: choose another, as in '
                f'{images}:{features}_2'
            )
        chosen[images] = features
    return chosen


def count_images(path: str | Path, wanted: Sequence[str]) -> int:
    """Return the number of images on the topics; raise ValueError like `choose_topics`."""
    with open_bag(path) as reader:
        topics = choose_topics(image_topics(reader), wanted)
        return sum(reader.topics[name].msgcount for name in topics)
