# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The settings of evaluations, importable without what the evaluations need."""

from __future__ import annotations

from dataclasses import dataclass, field

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.odometry.odometry_settings import OdometrySettings, TrackerSettings


def _use_once(plan: SettingsGroup, name: str) -> None:
    """Leave out values of a list that occur before: they would count more than others."""
    object.__setattr__(plan, name, tuple(dict.fromkeys(getattr(plan, name))))


@dataclass(frozen=True)
class ShapesPlan(SettingsGroup):
    """Settings of the measurement on synthetic shapes."""

    images: int = setting(200, 'Number of images per category.', range=(1, None))
    seed: int = setting(0, 'Random seed of the images.', range=(0, None))


@dataclass(frozen=True)
class ThresholdPlan(SettingsGroup):
    """Settings of the threshold sweep."""

    thresholds: tuple[float, ...] = setting(
        (1e-6, 1e-5, 1e-4, 3e-4, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5),
        'Detection thresholds to compare.',
        above=0.0,
        below=1.0,
    )
    views: int = setting(4, 'Number of warped views of each image.', range=(1, None))
    seed: int = setting(0, 'Random seed of the views.', range=(0, None))

    def __post_init__(self):
        super().__post_init__()
        if not self.thresholds:
            raise ValueError('thresholds must have at least one value')
        _use_once(self, 'thresholds')


@dataclass(frozen=True)
class RoomPlan(SettingsGroup):
    """Settings of the sequences in a simulated room."""

    seeds: tuple[int, ...] = setting(
        (0, 1, 2), 'Random seeds of the simulated sequences.', range=(0, None)
    )
    rate: float = setting(10.0, 'Rate of simulated frames.', unit='Hz', above=0.0)
    noise: float = setting(2.0, 'Noise of simulated frames, in gray levels.', range=(0.0, 100.0))
    exposure: float = setting(
        0.0, 'Exposure time of simulated frames, which blurs motion.', unit='s', range=(0.0, None)
    )

    def __post_init__(self):
        super().__post_init__()
        _use_once(self, 'seeds')


@dataclass(frozen=True)
class OdometryPlan(SettingsGroup):
    """
    Settings of the odometry benchmark.

    The similarity threshold of the tracker is off by default: the similarities of different
    descriptors have different scales. Maps start at a parallax of 1 degree: with 2 degrees, ORB,
    whose tracks are short, had its first pose at frame 44 instead of 10 of a rendered street; the
    errors of SuperPoint were equal.
    """

    max_keypoints: int = setting(
        500, 'Number of keypoints per frame that count, highest scores first.', range=(1, None)
    )
    gaps: tuple[int, ...] = setting(
        (2, 5), 'Distances, in frames, between the two images of a pair.', range=(1, None)
    )
    frames: int | None = setting(
        None, 'Number of frames of each sequence; none: all, 200 simulated ones.', range=(1, None)
    )
    scale: str = setting(
        'none',
        'Source of the scale: none (one camera), stereo (the second camera) or depth images.',
        choices=('none', 'stereo', 'depth'),
    )
    tracker: TrackerSettings = field(default_factory=lambda: TrackerSettings(min_similarity=-1.0))
    odometry: OdometrySettings = field(default_factory=OdometrySettings)

    def __post_init__(self):
        super().__post_init__()
        if not self.gaps:
            raise ValueError('gaps must have at least one value')
        _use_once(self, 'gaps')
        if self.frames is not None and self.frames <= max(self.gaps):
            raise ValueError(
                f'frames must be greater than the largest gap, {max(self.gaps)}; got {self.frames}'
            )
