# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The settings of the tracker and of the visual odometry, each described in one place."""

from __future__ import annotations

from dataclasses import dataclass

from superpoint_ros.common.settings_table import setting, SettingsGroup

GEOMETRIC_CHECKS = ('none', 'fundamental', 'homography')


@dataclass(frozen=True)
class TrackerSettings(SettingsGroup):
    """Settings of the tracker."""

    min_similarity: float = setting(
        0.75,
        'Lowest similarity (dot product of the descriptors) of a match; matches are mutual '
        'nearest neighbours. Lower: tracks survive larger changes of view and light, with more '
        'wrong matches.',
        range=(-1.0, 1.0),
    )
    ratio: float = setting(
        0.8,
        'Ratio test: largest ratio of the distances to the nearest and to the second nearest '
        'descriptor. Higher: more matches on repetitive structures, more of them wrong. 1 turns '
        'the test off.',
        range=(0.1, 1.0),
    )
    max_motion: float = setting(
        50.0,
        'Largest distance, per frame since the track was last seen, between a match and the '
        'position that the velocity of the track predicts. Higher: tracks survive jerky motion '
        'and low frame rates, with more wrong matches. 0 turns the check off.',
        unit='px',
        range=(0.0, 10_000.0),
    )
    max_jump: float = setting(
        1000.0,
        'Largest distance, as max_motion, within which the tracks of the last frame are searched '
        'once more if less than a tenth of them is found within max_motion, or less than half as '
        'many as in the frame before, for example because the camera suddenly turns or stamps are '
        'wrong. 0 turns this search off.',
        unit='px',
        range=(0.0, 10_000.0),
    )
    geometric_check: str = setting(
        'fundamental',
        'Model that all matches of a frame must fit: a fundamental matrix (a rigid scene), a '
        'homography (a plane, or a camera that only rotates), or none.',
        choices=GEOMETRIC_CHECKS,
    )
    geometric_threshold: float = setting(
        3.0,
        'Largest distance of a match from the model of the geometric check. Higher: tolerates '
        'lens distortion and inexact keypoints, with more wrong matches.',
        unit='px',
        range=(0.1, 100.0),
    )
    max_lost_frames: int = setting(
        10,
        'Number of frames during which a track that is not seen can be found again. Higher: '
        'longer tracks, more of them wrong. 0: tracks do not come back, also not after an '
        'interruption.',
        range=(0, 1000),
    )
    max_interruption: float = setting(
        10.0,
        'Longest time during which hardly any track is found, for example because the lens is '
        'covered or frames are missing, after which the tracks before it are searched in the '
        'whole image. 0: they are lost after max_lost_frames.',
        unit='s',
        range=(0.0, 600.0),
    )
    min_spacing: float = setting(
        0.0,
        'Smallest distance of a new track from all others; the best scores start first. Higher: '
        'fewer tracks, which spread over the image.',
        unit='px',
        range=(0.0, 1000.0),
    )
    max_tracks: int = setting(
        0,
        'No new track starts while there are this many. 0: no limit.',
        range=(0, 100_000),
    )
    max_refinement: float = setting(
        2.0,
        'Largest distance of a match from the position where the image patch of the track fits; '
        'a match that would move farther is rejected. Needs images. 0 turns refinement off.',
        unit='px',
        range=(0.0, 10.0),
    )
    min_correlation: float = setting(
        0.8,
        'Lowest correlation of a patch and the image at a match; below, the match is rejected. '
        'Higher: fewer wrong matches, and fewer tracks if view or light change fast.',
        range=(0.0, 1.0),
    )
    max_sigma: float = setting(
        1.0,
        'Largest standard deviation of a position found by an image patch, from its covariance '
        '(root mean square of both axes); above, the match is rejected, or the track without a '
        'match is not followed. Lower: fewer wrong positions, and shorter tracks on plain '
        'surfaces. 0 turns the check off.',
        unit='px',
        range=(0.0, 100.0),
    )
    max_bridged_frames: int = setting(
        5,
        'Number of successive frames in which a track without a match is followed by its image '
        'patch. Higher: longer tracks, more of them wrong. Needs images. 0 turns this off.',
        range=(0, 1000),
    )
    min_bridge_correlation: float = setting(
        0.95,
        'Lowest correlation of a patch and the image for which a track without a match is '
        'followed.',
        range=(0.0, 1.0),
    )
    max_bridge_motion: float = setting(
        3.0,
        'Largest distance of a track without a match from the position that the tracks around '
        'it predict.',
        unit='px',
        range=(0.0, 100.0),
    )


@dataclass(frozen=True)
class OdometrySettings(SettingsGroup):
    """Settings of the visual odometry."""

    reprojection_threshold: float = setting(
        2.0,
        'Largest reprojection error of an inlier of a pose. Higher: tolerates inexact keypoints '
        'and calibrations, with more wrong points.',
        unit='px',
        range=(0.1, 100.0),
    )
    min_inliers: int = setting(
        20,
        'Smallest number of inliers of a pose. Higher: tracking is lost earlier.',
        range=(6, 10_000),
    )
    initial_parallax: float = setting(
        1.0,
        'Median parallax between two frames at which the map is initialised. Higher: starts '
        'later, with a better map.',
        unit='deg',
        range=(0.1, 45.0),
    )
    point_parallax: float = setting(
        1.0,
        'Parallax at which a new point is added to the map. Higher: fewer points, with more '
        'accurate depths.',
        unit='deg',
        range=(0.05, 45.0),
    )
    keyframe_parallax: float = setting(
        2.0,
        'Median parallax since the last keyframe at which a new keyframe is taken. Higher: fewer '
        'keyframes, less work, less overlap.',
        unit='deg',
        range=(0.1, 45.0),
    )
    keyframe_share: float = setting(
        0.7,
        'A new keyframe is taken if a smaller share of the points of the last keyframe is seen.',
        range=(0.0, 1.0),
    )
    max_lost_frames: int = setting(
        5,
        'Number of frames without a pose after which a new map may replace the last one. A map '
        'without depths that has not given any pose is replaced after one frame.',
        range=(1, 1000),
    )
    window: int = setting(
        8,
        'Number of recent keyframes that are refined together by bundle adjustment. Higher: more '
        'accurate and slower. 0 turns it off.',
        range=(0, 50),
    )
    calibration_error: float = setting(
        0.01,
        'Share of the distances and angles that the camera moves by which an inexact calibration '
        'may change them (standard deviation), for the covariances of poses and velocities. '
        '0: an exact calibration.',
        range=(0.0, 1.0),
    )
