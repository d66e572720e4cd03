# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Depths of keypoints from a rectified stereo pair.

In a rectified pair, a point has the same y in both images, and its x differs by the disparity,
focal length * baseline / depth. Keypoints of both images are matched by their descriptors along
rows; each disparity is then refined by aligning the images around the keypoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from superpoint_ros.features import Depths, Features
from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError
from superpoint_ros.geometry.depth_settings import DepthSettings
from superpoint_ros.geometry.disparity import refine_disparities
from superpoint_ros.geometry.guided_matching import Described, Limits, match_nearby
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.geometry.robust_estimation import estimate_robustly

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

_MIN_SIMILARITY = 0.6  # the views differ little; wrong matches are rejected by their pixels
_WIDE_BAND = 8.0  # pixels; rows in which matches are sought, to notice a wrong rectification
_FEW = 0.2  # share of keypoints with a depth below which the reason is sought
_FEWEST = 30  # matches that are enough to judge a pair by
_RATIO = 0.9  # ratio test
_CONSISTENT = 0.6  # share of matches that fit one geometry if the images show one scene
_EPIPOLAR_DISTANCE = 2.0  # pixels; largest one of a match that fits


class StereoError(ValueError):
    """Error of a pair of images that is no rectified stereo pair."""


@dataclass(frozen=True)
class StereoCamera:
    """
    Calibration of a rectified stereo pair.

    Attributes:
        left: calibration of the rectified left camera.
        focal: focal length in pixels of the published images.
        baseline: distance of the right camera from the left one in metres, positive.
        offset: disparity in pixels of a point at infinity, 0 if both principal points are equal.

    """

    left: CameraModel
    focal: float
    baseline: float
    offset: float = 0.0

    @classmethod
    def from_messages(cls, left: CameraInfo, right: CameraInfo) -> StereoCamera:
        """
        Return the calibration in the matrices p of two messages.

        The baseline is -p[0, 3] / p[0, 0] of the right camera, relative to that of the left one.
        Raises CameraModelError with the reason if the pair cannot be used.
        """
        models = [CameraModel.from_message(each, rectified=True) for each in (left, right)]
        if models[0].image_size != models[1].image_size:
            raise CameraModelError(
                'the cameras of a stereo pair must have the same image size; their calibrations '
                f'are for {models[0].image_size} and {models[1].image_size}'
            )
        p, q = (np.array(each.p, float).reshape(3, 4) for each in (left, right))
        if abs(p[1, 3] - q[1, 3]) > 1e-9 * abs(p[0, 0]):
            raise CameraModelError(
                'the cameras are one above the other (p[1, 3] is not 0): only horizontal stereo '
                'pairs are supported'
            )
        # Above a thousandth, rows at the border of a 1000-pixel image differ by half a pixel.
        same = np.allclose((q[0, 0], q[1, 1]), (p[0, 0], p[1, 1]), rtol=1e-3)
        if not same or abs(p[1, 2] - q[1, 2]) > 0.5:
            raise CameraModelError(
                'the matrices p are not those of a rectified pair: focal lengths and cy must be '
                'equal, but left has fx, fy, cy = '
                f'{p[0, 0]:.6g}, {p[1, 1]:.6g}, {p[1, 2]:.6g} and right has '
                f'{q[0, 0]:.6g}, {q[1, 1]:.6g}, {q[1, 2]:.6g}'
            )
        baseline = float((p[0, 3] - q[0, 3]) / p[0, 0])
        if not np.isfinite(baseline) or baseline == 0:
            raise CameraModelError(
                'the calibration has no baseline: p[0, 3] of the right camera must be '
                '-focal length * baseline, it is 0'
            )
        if baseline < 0:
            raise CameraModelError(
                f'the baseline is {baseline:.6g} m: left and right camera are exchanged'
            )
        model, binning = models[0], models[0].binning[0]
        shift = p[0, 2] - model.offset[0] - q[0, 2] + models[1].offset[0]
        return cls(model, p[0, 0] / binning, baseline, shift / binning)

    def depths(self, disparities: np.ndarray, sigmas: np.ndarray) -> Depths:
        """Return the depths of disparities (N,) with standard deviations (N,), in pixels."""
        shift = np.asarray(disparities, float) - self.offset
        with np.errstate(divide='ignore', invalid='ignore'):
            depths = self.focal * self.baseline / shift
            return Depths(depths, depths / shift * sigmas)

    def disparity_range(self, settings: DepthSettings) -> tuple[float, float]:
        """Return the disparities of the largest and of the smallest depth, in pixels."""
        reach = self.focal * self.baseline
        least = reach / settings.max_depth if settings.max_depth else 0.0
        return least + self.offset, reach / settings.min_depth + self.offset


def warm_up_stereo() -> None:
    """Compile the loops, or load them from the cache, so that this delays no frame."""
    image, point = np.zeros((16, 16), np.uint8), np.full((1, 2), 8.0)
    described = Described(point, np.ones((1, 1)))
    match_nearby(described, described, Limits(1.0))
    refine_disparities(image, image, point, np.zeros(1))


def stereo_depths(
    left: Features,
    right: Features,
    left_image: np.ndarray,
    right_image: np.ndarray,
    camera: StereoCamera,
    settings: DepthSettings | None = None,
) -> Depths:
    """
    Return the depths of the keypoints of the left image of a rectified pair.

    Images are gray, uint8 (H, W). Keypoints without a match have an unknown depth. Raises
    StereoError if the images have different sizes, or if their keypoints show that they are not
    rectified or exchanged.
    """
    settings = settings or DepthSettings()
    if left_image.shape != right_image.shape:
        raise StereoError(
            'the images of a stereo pair must have the same size, got '
            f'{_by(left_image)} and {_by(right_image)}'
        )
    low, high = camera.disparity_range(settings)
    rows, columns = _match_rows(left, right, low, high, settings.row_tolerance)
    start = left.keypoints[rows, 0] - right.keypoints[columns, 0]
    disparities, sigmas = refine_disparities(left_image, right_image, left.keypoints[rows], start)
    with np.errstate(invalid='ignore'):
        outside = ~((disparities > low) & (disparities < high))
    disparities[outside] = sigmas[outside] = np.nan
    values, errors = np.full((2, len(left)), np.nan)
    found = camera.depths(disparities, sigmas)
    count = min(len(left), len(right))
    if count >= _FEWEST and found.known.sum() < _FEW * count:
        _explain(left, right, settings.row_tolerance)
    values[rows], errors[rows] = found.values, found.sigmas
    return Depths(values, errors)


def _match_rows(
    left: Features, right: Features, low: float, high: float, tolerance: float
) -> np.ndarray:
    """Return matches within rows and disparities, int64 (2, K): indices of left and right."""
    # Points are expected in the middle of the disparities.
    expected = Described(left.keypoints - [(low + high) / 2, 0], left.descriptors)
    limits = Limits(
        *(np.inf, _RATIO, _MIN_SIMILARITY),
        width=(high - low) / 2 + 1,
        height=max(_WIDE_BAND, 2 * tolerance),
    )
    a, b = match_nearby(expected, Described(right.keypoints, right.descriptors), limits).T
    gaps = right.keypoints[b, 1] - left.keypoints[a, 1]
    if len(a) >= _FEWEST and abs(np.median(gaps)) > max(tolerance / 2, 0.5):
        raise StereoError(_not_rectified(gaps))
    kept = np.abs(gaps) <= tolerance
    return np.stack([a[kept], b[kept]])


def _explain(left: Features, right: Features, tolerance: float) -> None:
    """Raise StereoError with the reason if matches outside of rows show why rows have few."""
    a, b = match_mutual(left.descriptors, right.descriptors, _RATIO, _MIN_SIMILARITY).T
    if len(a) < _FEWEST:
        return
    _, inliers = estimate_robustly(
        *(cv2.findFundamentalMat, left.keypoints[a], right.keypoints[b]),
        *(cv2.USAC_DEFAULT, _EPIPOLAR_DISTANCE, 0.999, 500),
    )
    if inliers.sum() < max(_FEWEST, _CONSISTENT * len(a)):
        return  # images without common content, such as of a covered lens
    shifts, gaps = (left.keypoints[a] - right.keypoints[b])[inliers].T
    if np.median(np.abs(gaps)) > tolerance:
        raise StereoError(_not_rectified(gaps))
    if np.median(shifts) < 0:
        raise StereoError(
            f'the disparities of {len(shifts)} matches are negative in the median '
            f'({np.median(shifts):.1f} px): left and right image are exchanged'
        )


def _not_rectified(gaps: np.ndarray) -> str:
    return (
        f'the images are not rectified: matched keypoints differ by '
        f'{np.median(np.abs(gaps)):.1f} px in y (median of {len(gaps)}); use rectified images, '
        'such as image_rect of image_proc'
    )


def _by(image: np.ndarray) -> str:
    return f'{image.shape[1]}x{image.shape[0]}'
