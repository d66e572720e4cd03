# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Recipe of homographic adaptation: every value with its default, range and help text.

`superpoint_ros.training.recipe_files` reads and writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.data.random_homographies import HomographyRanges
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.config import SMALLEST_SIDE


@dataclass(frozen=True)
class AdaptationRecipe(SettingsGroup):
    """
    Values of homographic adaptation.

    The defaults are those of the paper.
    """

    homographies: int = setting(
        100,
        'Views of each image; the first is the image itself (N_h in the paper).',
        range=(1, None),
    )
    scales: tuple[float, ...] = setting(
        (1.0,), 'Scales of the views, used in turn.', range=(0.1, 4.0)
    )
    homography: HomographyRanges = setting(
        HomographyRanges(allow_artifacts=True), 'Ranges of the homographies of the views.'
    )
    longest_side: int = setting(
        320,
        'Images with a longer side are reduced to it first; 0 keeps all sizes.',
        unit='px',
        range=(0, None),
        constraint=f'0, or at least {SMALLEST_SIDE}',
    )
    threshold: float = setting(
        0.015, 'Lowest averaged probability of a pseudo label.', range=(0, 1)
    )
    nms_radius: int = setting(
        4, 'NMS radius (square window) in the reduced image.', unit='px', range=(0, 64)
    )
    max_keypoints: int = setting(
        400, 'Maximum number of pseudo labels per image.', range=(1, 100_000)
    )
    network: bool = setting(True, 'Use the heatmap of the network; false uses only corners.')
    corners: float = setting(
        0.0, 'Weight of Shi-Tomasi corners, added to the heatmap of the network.', range=(0, 1)
    )
    candidates: int = setting(400, 'Most corners of each view.', range=(1, None))
    batch: int = setting(8, 'Views that the network processes together.', range=(1, None))
    seed: int = setting(
        0,
        'Seed of the homographies; those of an image depend on the seed and the file name only.',
        range=(0, None),
    )

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, 'scales', tuple(self.scales))
        if not (self.network or self.corners):
            raise ValueError('without the network, corners must be greater than 0')
        if not self.scales:
            raise ValueError('scales must have at least one value')
        if 0 < self.longest_side < SMALLEST_SIDE:
            raise ValueError(
                f'longest_side must be 0 or at least {SMALLEST_SIDE}, got {self.longest_side}'
            )

    def detection_settings(self) -> DetectionSettings:
        """Return how pseudo labels are picked from the averaged heatmap."""
        return DetectionSettings(
            self.threshold, self.nms_radius, self.max_keypoints, keypoints='heatmap'
        )
