# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Settings of the depths of keypoints, from stereo pairs and depth images."""

from __future__ import annotations

from dataclasses import dataclass

from superpoint_ros.common.settings_table import setting, SettingsGroup


@dataclass(frozen=True)
class DepthSettings(SettingsGroup):
    """Settings of the depths of keypoints."""

    min_depth: float = setting(
        0.2,
        'Smallest depth of a keypoint; depths below are unknown. Lower: stereo matching searches '
        'larger disparities, with more wrong matches.',
        unit='m',
        range=(0.01, 1000.0),
    )
    max_depth: float = setting(
        0.0,
        'Largest depth of a keypoint; depths above are unknown. 0: no limit.',
        unit='m',
        range=(0.0, 100_000.0),
    )
    row_tolerance: float = setting(
        2.0,
        'Largest difference in y between the keypoints of a stereo match. Higher: tolerates '
        'inexact rectification, with more wrong matches.',
        unit='px',
        range=(0.1, 50.0),
    )

    def __post_init__(self):
        super().__post_init__()
        if self.max_depth and self.max_depth <= self.min_depth:
            raise ValueError(
                f'max_depth must be 0 or above min_depth, {self.min_depth}; got {self.max_depth}'
            )
