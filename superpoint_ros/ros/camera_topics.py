# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Topics of one or several cameras, as the launch arguments name them."""

from __future__ import annotations

from collections.abc import Sequence


def camera_remappings(cameras: Sequence[str], topic: str, value: str) -> list[tuple[str, str]]:
    """
    Return the remappings of a topic of each camera, old and new name.

    `topic` is `image` or `camera_info`, and `value` the launch argument of that name: the topic
    of a single camera if `cameras` is empty. Otherwise it is either one relative name below the
    name of each camera (`image_raw`: `left/image_raw`), or as many topics as there are cameras,
    separated by commas. Raises ValueError for another value.
    """
    topics = [name.strip() for name in value.split(',')]
    if not all(topics):
        raise ValueError(f'{topic} must be the name of a topic, got {value!r}')
    if not cameras:
        if len(topics) > 1:
            raise ValueError(f'{topic} must be one topic without cameras, got {value!r}')
        old = [topic]
    else:
        old = [f'{name}/{topic}' for name in cameras]
        if len(topics) == 1 and not topics[0].startswith(('/', '~')):
            topics = [f'{name}/{topics[0]}' for name in cameras]
    if len(topics) != len(old):
        raise ValueError(
            f'{topic} must be a relative name, such as image_raw for {cameras[0]}/image_raw, or '
            f'topics separated by commas, one for each of the cameras {", ".join(cameras)}; '
            f'got {value!r}'
        )
    return [(a, b) for a, b in zip(old, topics, strict=True) if a != b]
