# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The settings of the detection: which pixels become keypoints, and how they are described.

This is the only place that gives their names, defaults, ranges, units and help texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpoint_ros.common.contrast import MIN_CONTRAST
from superpoint_ros.common.settings_table import setting, SettingsGroup

KEYPOINTS = ('hessian', 'heatmap')

SMALLEST_IMAGE = 64
"""Smallest `max_image_size` in pixels; smaller images contain hardly any keypoints."""


NO_PREPROCESSING = {
    'max_image_size': 0,
    'upscale_factor': 1.0,
    'descriptor_scales': 1,
    'min_contrast': 0,
}
"""Settings that change the images before the network, and the values that turn them off."""


@dataclass(frozen=True)
class DetectionSettings(SettingsGroup):
    """Settings of the detection."""

    threshold: float = setting(
        1e-5,  # plain walls have few points above 0.001 (docs/experiments.md)
        'Detection threshold: lowest score of a keypoint. A lower threshold gives more keypoints.',
        range=(0.0, 1.0),
    )
    nms_radius: int = setting(
        3,
        'NMS radius (square window): no two keypoints are closer than this in x and in y.',
        unit='px',
        range=(0, 64),
    )
    max_keypoints: int = setting(
        1000,
        'Maximum number of keypoints per image; the highest scores are kept.',
        range=(1, 100_000),
    )
    border_margin: int = setting(
        4,
        'Width of the strip along the image border in which keypoints are removed.',
        unit='px',
        range=(0, 1024),
    )
    subpixel: bool = setting(
        True,
        'Refine keypoints to a fraction of a pixel: by parabolas through the Hessian response, '
        'or by the centroid of the heatmap in a 5x5 window.',
    )
    keypoints: str = setting(
        'hessian',
        "Where keypoints are: 'hessian' takes extrema of the Hessian determinant of the image, "
        "scored by the network; 'heatmap' takes maxima of the network's heatmap, as in the paper.",
        choices=KEYPOINTS,
    )
    grid_cells: int = setting(
        0,
        'Spread keypoints over a grid with this many cells along each side of the image if there '
        'are more than max_keypoints: the best of each cell are kept first. 0 turns this off.',
        range=(0, 256),
    )
    max_image_size: int = setting(
        0,
        'Reduce images whose longer side exceeds this size before detection; keypoints are mapped '
        'back to the original image. 0 turns this off.',
        unit='px',
        range=(0, 16_384),
        constraint=f'0, or at least {SMALLEST_IMAGE}',
    )
    upscale_factor: float = setting(
        1.0,
        'Enlarge images by this factor before detection, up to max_image_size. Keypoints become '
        'more precise; inference time grows with the square of the factor.',
        range=(1.0, 4.0),
    )
    descriptor_scales: int = setting(
        1,
        'Number of image scales, each half of the previous one, whose descriptors are averaged. '
        'More scales match better across scale changes; two take 1.3 times the time of one.',
        range=(1, 4),
    )

    min_contrast: int = setting(
        MIN_CONTRAST,
        'Lowest contrast of an image, from the 1st to the 99th percentile of its gray levels: '
        'darker and hazier images are stretched to it, less where their noise would become '
        'strong. 0 turns this off.',
        unit='gray levels',
        range=(0, 255),
    )

    RENAMED: ClassVar[dict[str, str]] = {
        'blobs': "keypoints ('hessian' for true, 'heatmap' for false)",
        'levels': 'descriptor_scales',
        'magnification': 'upscale_factor',
    }

    def __post_init__(self):
        super().__post_init__()
        if 0 < self.max_image_size < SMALLEST_IMAGE:
            raise ValueError(
                f'max_image_size must be 0 (off) or at least {SMALLEST_IMAGE}, '
                f'got {self.max_image_size}'
            )
