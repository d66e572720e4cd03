# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Where a camera's pixels look: from pixels to undistorted, normalised coordinates.

Normalised coordinates are x and y of the point at distance 1 along the optical axis (REP 103: x to
the right, y down) that is seen at the pixel. OpenCV undoes the distortion; what it cannot undo is
found by distorting its result again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant')
"""The distortion models of `sensor_msgs/CameraInfo` that are known."""

_LENGTHS = {'plumb_bob': (0, 4, 5), 'rational_polynomial': (0, 8, 12, 14), 'equidistant': (0, 4)}
_TOLERANCE = 0.05  # pixels between a point and where its undistorted place is seen
_ITERATIONS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-10)


class CameraModelError(ValueError):
    """Say why a camera's calibration cannot be used."""


@dataclass(frozen=True)
class CameraModel:
    """
    Hold a camera's calibration.

    `matrix` (3, 3) and `distortion` are those of the full image, of `size` (width, height) in
    pixels; the images that are sent begin at its pixel `offset` (x, y) and have one pixel for
    `binning` (x, y) of its.
    """

    model: str
    matrix: np.ndarray
    distortion: np.ndarray
    size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)
    binning: tuple[int, int] = (1, 1)
    region: tuple[int, int] = (0, 0)

    @classmethod
    def from_message(cls, info: CameraInfo) -> CameraModel:
        """Return the calibration of a message; raise CameraModelError where it has none."""
        matrix = np.array(info.k, float).reshape(3, 3)
        if not matrix[0, 0] > 0 or not matrix[1, 1] > 0:
            raise CameraModelError(
                'the camera is not calibrated: the focal lengths in k are not positive'
            )
        distortion = np.array(info.d, float)
        model = info.distortion_model or ('plumb_bob' if not len(distortion) else '')
        if model not in MODELS:
            raise CameraModelError(
                f'the distortion model {model!r} is unknown; known are {", ".join(MODELS)}'
            )
        if len(distortion) not in _LENGTHS[model]:
            wanted = ', '.join(map(str, _LENGTHS[model]))
            raise CameraModelError(
                f'{model} has {wanted} numbers in d; here are {len(distortion)}'
            )
        if not (np.isfinite(matrix).all() and np.isfinite(distortion).all()):
            raise CameraModelError('the calibration has numbers that are not finite')
        return cls(
            model,
            matrix,
            distortion,
            (info.width, info.height),
            (info.roi.x_offset, info.roi.y_offset),
            (max(info.binning_x, 1), max(info.binning_y, 1)),
            (info.roi.width, info.roi.height),
        )

    @property
    def image_size(self) -> tuple[int, int]:
        """Return the (width, height) of the images that are sent; (0, 0) where it is not told."""
        whole = self.region if all(self.region) else self.size
        width, height = (side // bins for side, bins in zip(whole, self.binning, strict=True))
        return width, height

    def normalize(
        self, keypoints: np.ndarray, image_size: tuple[int, int] | None = None
    ) -> np.ndarray:
        """
        Return the normalised coordinates (N, 2), float32, of keypoints (N, 2) in pixels.

        They are not-a-number where no direction is seen at the pixel, which happens where a
        polynomial is left alone far from where it was fitted. Raises CameraModelError where the
        calibration is for images of another size than `image_size` (width, height), if it is told.
        """
        if image_size is not None and self.image_size not in ((0, 0), image_size):
            raise CameraModelError(
                f'the calibration is for images of {_by(self.image_size)}, not {_by(image_size)}'
            )
        if not len(keypoints):
            return np.zeros((0, 2), np.float32)
        # Of a binned image, the centre of a pixel is the middle of those that it is made of.
        pixels = (keypoints.astype(float) + 0.5) * self.binning - 0.5 + self.offset
        pixels = pixels[:, None]
        distortion = self.distortion if len(self.distortion) else np.zeros(4)
        if self.model == 'equidistant':
            points = cv2.fisheye.undistortPoints(pixels, self.matrix, distortion)
            seen = cv2.fisheye.distortPoints(points, self.matrix, distortion)
        else:
            points = cv2.undistortPointsIter(
                pixels, self.matrix, distortion, None, None, _ITERATIONS
            )
            rays = cv2.convertPointsToHomogeneous(points)
            still = np.zeros(3)
            seen, _ = cv2.projectPoints(rays, still, still, self.matrix, distortion)
        wrong = ~(np.linalg.norm(seen - pixels, axis=2)[:, 0] < _TOLERANCE)
        points[wrong] = np.nan
        return points[:, 0].astype(np.float32)


def _by(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'
