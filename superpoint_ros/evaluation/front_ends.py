# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Front ends of visual odometry that are compared: tracks of sequences and matches of two images.

Detectors with descriptors share one tracker. Shi-Tomasi with KLT is the front end of VINS-Mono and
VINS-Fusion (Qin, Li and Shen, 2018; Qin, Cao, Pan and Shen, 2019): images with equalised contrast
(CLAHE), corners tracked by pyramidal Lucas-Kanade forwards and backwards, checked by a fundamental
matrix, and replenished in each frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.sequences.sequence import Frame
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.features import Depths, Features
from superpoint_ros.geometry.depth_images import image_depths
from superpoint_ros.geometry.depth_settings import DepthSettings
from superpoint_ros.geometry.disparity import refine_disparities
from superpoint_ros.geometry.homography import is_inside
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.geometry.stereo import stereo_depths, StereoCamera
from superpoint_ros.odometry.geometric_check import FEWEST_MATCHES
from superpoint_ros.odometry.odometry_settings import TrackerSettings
from superpoint_ros.odometry.tracker import Tracker, Tracks

KLT_WINDOW, KLT_LEVELS = (21, 21), 3
"""Window and highest pyramid level of the tracking, as in VINS-Fusion."""

KLT_REVERSE_ERROR = 0.5
"""Largest distance in pixels of a point tracked backwards from its start, as in VINS-Fusion."""

CORNER_QUALITY = 0.01
"""Least response of a corner, relative to the best one, as in VINS-Fusion."""

EQUALIZATION = {'clipLimit': 3.0, 'tileGridSize': (8, 8)}
"""
Settings of CLAHE, as in VINS-Mono.

Without it, jumps of the exposure end tracks: on 120 frames of a rendered street the position error
was 7.2 instead of 0.7 % of the path.
"""

TRACKER_SETTINGS: dict[str, dict[str, Any]] = {'ORB': {'ratio': 0.95}}
"""
Settings of the tracker, by the name of the method, under which a baseline works.

The ratio test compares Euclidean distances, which grow with the square root of the Hamming
distance: 0.95 is a ratio of 0.9 of the Hamming distances, as in ORB-SLAM2. With the default of
0.8, which is 0.64, ORB had a pose in 51 % of the 120 frames of a rendered street instead of 96 %;
`docs/experiments.md` has the other values.
"""


class DescriptorFrontEnd:
    """
    Front end of a detector with descriptors: the best `keypoints` features of each image.

    `TRACKER_SETTINGS` of the method replace `settings`. With a `stereo` camera, keypoints have
    depths if the frame has a second image; otherwise they have depths if it has a depth image.
    """

    def __init__(
        self,
        method: Method,
        keypoints: int,
        settings: TrackerSettings,
        stereo: StereoCamera | None,
    ):
        self._find, self._count, self._stereo = method.find, keypoints, stereo
        self._tracker = Tracker(replace(settings, **TRACKER_SETTINGS.get(method.name, {})))
        self.view: Features | None = None

    def update(self, frame: Frame) -> Tracks:
        """Return the tracks of the next frame."""
        image = frame.image
        features = self._find(image).best(self._count)
        size = image.shape[1::-1]
        depths = None
        if self._stereo and frame.second is not None:
            second = self._find(frame.second).best(self._count)
            depths = stereo_depths(features, second, image, frame.second, self._stereo)
        elif frame.depth is not None:
            depths = image_depths(frame.depth, features.keypoints, size)
        self.view = replace(features, depths=depths)
        return self._tracker.update(self.view, frame.stamp, size, image)

    @property
    def keypoints(self) -> int:
        """Return the number of keypoints of the last image."""
        return len(self.view)

    def match(self, a: Features, b: Features) -> tuple[np.ndarray, np.ndarray]:
        """Return the points, pixels (K, 2) and (K, 2), of mutual nearest neighbours."""
        matches = match_mutual(a.descriptors, b.descriptors)
        return a.keypoints[matches[:, 0]], b.keypoints[matches[:, 1]]


class KltFrontEnd:
    """
    Shi-Tomasi corners tracked by Lucas-Kanade; `view` is the last image, equalised.

    At most `keypoints` corners are tracked, at distances that let them fill the image. With a
    `stereo` camera they are tracked into the second image, too.
    """

    def __init__(self, keypoints: int, settings: TrackerSettings, stereo: StereoCamera | None):
        self._count, self._settings, self._stereo = keypoints, settings, stereo
        self._next_id = 0
        self.view: np.ndarray | None = None
        self._tracks = Tracks.new(np.zeros(0, np.int64), np.zeros((0, 2)))
        self._stamp = 0.0

    @property
    def keypoints(self) -> int:
        """Return the number of tracked corners."""
        return len(self._tracks)

    def update(self, frame: Frame) -> Tracks:
        """Return the tracks of the next frame."""
        image, stamp = equalize(frame.image), frame.stamp
        before, restarted = self._tracks, self.view is None
        points, kept = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
        if not restarted:
            points, kept = track_points(self.view, image, before.keypoints)
            fits = self._fits_geometry(before.keypoints[kept], points)
            points, kept = points[fits], kept[fits]
        new = self._find_corners(image, points)
        ids = np.arange(self._next_id, self._next_id + len(new))
        self._next_id += len(new)
        seconds = stamp - self._stamp
        tracks = Tracks.new(
            np.concatenate([before.ids[kept], ids]),
            np.concatenate([points, new]),
            restarted=restarted,
        )
        old = slice(0, len(kept))
        tracks.previous[old], tracks.intervals[old] = before.keypoints[kept], seconds
        if seconds > 0:
            tracks.velocities[old] = (points - before.keypoints[kept]) / seconds
        tracks.ages[old] = before.ages[kept] + 1
        self._tracks, self.view, self._stamp = tracks, image, stamp
        return replace(tracks, depths=self._depths(frame, tracks.keypoints))

    def _depths(self, frame: Frame, points: np.ndarray) -> Depths | None:
        """Return the depths of points (N, 2) of a frame, None if it has nothing to find them."""
        if self._stereo and frame.second is not None:
            found, kept = track_points(self.view, equalize(frame.second), points)
            low, high = self._stereo.disparity_range(DepthSettings())
            disparities, sigmas = np.full((2, len(points)), np.nan)
            disparities[kept], sigmas[kept] = refine_disparities(
                frame.image, frame.second, points[kept], points[kept, 0] - found[:, 0]
            )
            kept = kept[np.abs(found[:, 1] - points[kept, 1]) <= DepthSettings().row_tolerance]
            known = np.zeros(len(points), bool)
            known[kept] = True
            with np.errstate(invalid='ignore'):
                known &= (disparities > low) & (disparities < high)
            disparities[~known] = np.nan
            return self._stereo.depths(disparities, sigmas)
        if frame.depth is not None:
            return image_depths(frame.depth, points, frame.image.shape[1::-1])
        return None

    def match(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return corners of view a and where they are in view b, pixels (K, 2) and (K, 2)."""
        corners = self._find_corners(a, np.zeros((0, 2), np.float32))
        found, kept = track_points(a, b, corners)
        return corners[kept], found

    def _find_corners(self, image: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """Return new corners, float32 (N, 2), away from those that are tracked already."""
        wanted = self._count - len(taken)
        if wanted <= 0:
            return np.zeros((0, 2), np.float32)
        height, width = image.shape
        # Half of the distance at which the wanted number fills the image as a grid.
        spacing = max(0.5 * np.sqrt(width * height / self._count), 1.0)
        mask = np.full(image.shape, 255, np.uint8)
        for x, y in np.rint(taken).astype(int).tolist():
            cv2.circle(mask, (x, y), round(spacing), 0, -1)
        corners = cv2.goodFeaturesToTrack(image, wanted, CORNER_QUALITY, spacing, mask=mask)
        return np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)

    def _fits_geometry(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Return bool (N,): whether matches fit the fundamental matrix of most of them."""
        every = np.ones(len(now), bool)
        if self._settings.geometric_check == 'none' or len(now) < FEWEST_MATCHES:
            return every
        threshold = self._settings.geometric_threshold
        _, inliers = cv2.findFundamentalMat(before, now, cv2.FM_RANSAC, threshold, 0.99)
        return every if inliers is None else inliers.ravel().astype(bool)


def equalize(image: np.ndarray) -> np.ndarray:
    """Return a gray image, uint8 (H, W), with locally equalised contrast."""
    return cv2.createCLAHE(**EQUALIZATION).apply(image)


def track_points(
    a: np.ndarray, b: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where points (N, 2) of image a are in image b, (K, 2), and their indices (K,)."""
    if not len(points):
        return np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
    start = np.ascontiguousarray(points, np.float32).reshape(-1, 1, 2)
    options = {'winSize': KLT_WINDOW, 'maxLevel': KLT_LEVELS}
    found, forwards, _ = cv2.calcOpticalFlowPyrLK(a, b, start, None, **options)
    back, backwards, _ = cv2.calcOpticalFlowPyrLK(b, a, found, None, **options)
    good = (forwards & backwards).ravel().astype(bool)
    good &= np.linalg.norm(back - start, axis=2)[:, 0] < KLT_REVERSE_ERROR
    found = found[:, 0]
    good &= is_inside(found, b.shape[::-1])
    return found[good], np.flatnonzero(good)


FrontEnd = DescriptorFrontEnd | KltFrontEnd
"""Front end of the odometry; `match` takes the values that `view` had after two of the frames."""


class OdometryMethod(NamedTuple):
    """
    A method in the comparison of odometry.

    `make` returns a front end from the number of keypoints, the settings of the tracker and the
    stereo camera, None without.
    """

    name: str
    make: Callable[[int, TrackerSettings, StereoCamera | None], FrontEnd]


def odometry_method(method: Method) -> OdometryMethod:
    """Return a detector with descriptors as a method of the comparison."""
    return OdometryMethod(method.name, partial(DescriptorFrontEnd, method))


KLT = OdometryMethod('Shi-Tomasi + KLT', KltFrontEnd)
"""Shi-Tomasi corners with KLT as a method of the comparison."""
