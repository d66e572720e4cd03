# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
Several levels of an image: it is looked at again, smaller, and the best keypoints of all are kept.

A network describes what it sees at the size that it has in the image: a thing that another view
shows at half the size looks like another thing. With a smaller image beside the first one, each
thing is there in two sizes, and one of them is nearer to that in the other view.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from superpoint_ros.decoding import DetectionSettings, spread_over_grid
from superpoint_ros.features import Features
from superpoint_ros.network import SMALLEST_SIDE
from superpoint_ros.suppression import peaks_among

RATIO = 0.6
"""Size of a level to that of the one before: 0.5 and 0.7 are no better, three levels neither."""


def make_levels(image: np.ndarray, count: int) -> list[np.ndarray]:
    """
    Return an image (H, W) and `count` - 1 smaller ones, each `RATIO` of the one before.

    There are fewer where one would be smaller than the network takes.
    """
    result = [image]
    for level in range(1, count):
        height, width = (round(side * RATIO**level) for side in image.shape)
        if min(height, width) < SMALLEST_SIDE:
            break
        result.append(cv2.resize(result[-1], (width, height), interpolation=cv2.INTER_AREA))
    return result


def merge_levels(
    found: Sequence[Features], size: tuple[int, int], settings: DetectionSettings
) -> Features:
    """
    Return the best of the features of an image's levels, the finest level's first.

    The keypoints are all in pixels of one image of `size` (height, width). None has another one
    within `settings.nms_radius`; at most `max_keypoints` are kept.
    """
    if len(found) == 1:
        return found[0]
    names = ('keypoints', 'scores', 'descriptors')
    points, scores, descriptors = (
        np.concatenate([getattr(each, name) for each in found]) for name in names
    )
    order = np.argsort(-scores, kind='stable')
    x, y = np.rint(points[order]).astype(np.int64).clip(0, [size[1] - 1, size[0] - 1]).T
    places, first = np.unique(y * size[1] + x, return_index=True)  # the best of each pixel
    chosen = order[first[peaks_among(places, scores[order[first]], size, settings.nms_radius)]]
    best = slice(settings.max_keypoints)
    if settings.grid_cells and len(chosen) > settings.max_keypoints:
        best = spread_over_grid(torch.from_numpy(points[chosen]), size, settings).numpy()
    chosen = chosen[best]
    return Features(points[chosen], scores[chosen], descriptors[chosen])
