# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What can be set of tracking and odometry, with the ranges of the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpoint_ros.settings_table import check_ranges

GEOMETRIC_CHECKS = ('none', 'fundamental', 'homography')


@dataclass(frozen=True)
class TrackerSettings:
    """
    Say what counts as the same point in two frames.

    Two features match where each is the other's nearest neighbour, their descriptors' similarity
    (the dot product) is at least `min_similarity`, and their distance less than `ratio` times that
    to the second nearest (1: any). The match must lie within `max_motion` pixels, for each frame
    since the track was seen last, of where its velocity leads it to (0: anywhere). Those that do
    not fit the epipolar geometry, or with 'homography' the plane, of all within
    `geometric_threshold` pixels are taken for wrong (`geometric_check`).

    A track that is not seen is looked for during `max_lost_frames` frames. New tracks begin, best
    score first, at least `min_spacing` pixels from others and while there are fewer than
    `max_tracks` (0: as many as there are features).

    Raises TypeError or ValueError that names the setting, its value and what it may be.
    """

    min_similarity: float = 0.75
    ratio: float = 0.8
    max_motion: float = 50.0
    geometric_check: str = 'fundamental'
    geometric_threshold: float = 3.0
    max_lost_frames: int = 10
    min_spacing: float = 0.0
    max_tracks: int = 0

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        'min_similarity': (-1.0, 1.0),
        'ratio': (0.1, 1.0),
        'max_motion': (0.0, 10_000.0),
        'geometric_threshold': (0.1, 100.0),
        'max_lost_frames': (0, 1000),
        'min_spacing': (0.0, 1000.0),
        'max_tracks': (0, 100_000),
    }

    def __post_init__(self):
        check_ranges(self)
        if self.geometric_check not in GEOMETRIC_CHECKS:
            raise ValueError(
                f'geometric_check must be one of {", ".join(GEOMETRIC_CHECKS)}; '
                f'got {self.geometric_check!r}'
            )


@dataclass(frozen=True)
class OdometrySettings:
    """
    Say when the odometry believes what it sees.

    A point agrees with a pose where it is seen within `reprojection_threshold` pixels of where it
    should be; a pose needs `min_inliers` such points. The map begins once the rays of two frames
    to half of their points differ by `initial_parallax` degrees, and new points enter it at
    `point_parallax`. A keyframe is taken where half of the points have moved by
    `keyframe_parallax` degrees since the last, or fewer than `keyframe_share` of its points are
    left. After `max_lost_frames` frames without a pose the map begins anew. The last `window`
    keyframes and their points are refined together (0: none is).

    Raises TypeError or ValueError that names the setting, its value and what it may be.
    """

    reprojection_threshold: float = 2.0
    min_inliers: int = 20
    initial_parallax: float = 2.0
    point_parallax: float = 1.0
    keyframe_parallax: float = 2.0
    keyframe_share: float = 0.7
    max_lost_frames: int = 5
    window: int = 8

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        'reprojection_threshold': (0.1, 100.0),
        'min_inliers': (6, 10_000),
        'initial_parallax': (0.1, 45.0),
        'point_parallax': (0.05, 45.0),
        'keyframe_parallax': (0.1, 45.0),
        'keyframe_share': (0.0, 1.0),
        'max_lost_frames': (1, 1000),
        'window': (0, 50),
    }

    def __post_init__(self):
        check_ranges(self)
