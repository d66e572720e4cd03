# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Camera models: from pixels to undistorted, normalised coordinates.

Normalised coordinates are x and y of the point at distance 1 along the optical axis (REP 103: x to
the right, y down) that is seen at a pixel. OpenCV undoes the distortion of polynomials in these
coordinates; pixels at which it fails are found by distorting its result again. That of fisheye
lenses is a polynomial in the angle from the axis, which `_undistort_fisheye` inverts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math
import re
from typing import TYPE_CHECKING

import cv2
import numpy as np

from superpoint_ros.geometry.homography import scaling

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant')
"""Supported distortion models of `sensor_msgs/CameraInfo`."""

_OTHER_NAMES = {
    'brown_conrady': 'plumb_bob',
    'radial_tangential': 'plumb_bob',
    'radtan': 'plumb_bob',
    'fisheye': 'equidistant',
    'kannala_brandt': 'equidistant',
    'kannala_brandt4': 'equidistant',
}
"""Names of the same models in drivers, EuRoC, Kalibr and OpenCV (ros2/common_interfaces#160)."""

_LENGTHS = {'plumb_bob': (0, 4, 5), 'rational_polynomial': (0, 8, 12, 14), 'equidistant': (0, 4)}
_ANGLES = np.linspace(0, np.pi / 2, 1000, endpoint=False)  # from the axis of a fisheye lens
_TOLERANCE = 0.05  # largest distance in pixels between a point and its distorted, undistorted self
_ITERATIONS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-10)


class CameraModelError(ValueError):
    """Error of a calibration that cannot be used."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """
    Calibration of a camera: distortion_model, k and d of `sensor_msgs/CameraInfo`.

    The centre of the top-left pixel is (0, 0). More distortion coefficients than the model has are
    accepted if the others are 0. Raises CameraModelError if the camera is not calibrated, the
    model is unknown, a number is not finite, or the size is not positive.

    Attributes:
        model: one of `MODELS`. Other usual names are accepted, also with other signs and capital
            letters; an empty one or 'none' means plumb_bob if all coefficients are 0.
        matrix: camera matrix (3, 3) of the full image, float64.
        distortion: coefficients (N,) of the model, float64; none for a camera without distortion.
        size: (width, height) of the full image in pixels, (0, 0) if unknown.
        offset: (x, y) of the first pixel of the published images in the full image.
        binning: (x, y), pixels of the full image per pixel of the published images.
        region: (width, height) of the published part of the full image, (0, 0) for all of it.

    """

    model: str
    matrix: np.ndarray
    distortion: np.ndarray
    size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)
    binning: tuple[int, int] = (1, 1)
    region: tuple[int, int] = (0, 0)

    def __post_init__(self):
        self._convert()
        if self.matrix.shape != (3, 3):
            raise CameraModelError(
                f'a camera matrix must have shape (3, 3), got {self.matrix.shape}'
            )
        if not self.matrix[0, 0] > 0 or not self.matrix[1, 1] > 0:
            raise CameraModelError(
                'the camera is not calibrated: the focal lengths in k are not positive'
            )
        if self.model not in MODELS:
            raise CameraModelError(
                f'the distortion model {self.model!r} is unknown; known are {", ".join(MODELS)}'
            )
        if not (np.isfinite(self.matrix).all() and np.isfinite(self.distortion).all()):
            raise CameraModelError('the calibration has numbers that are not finite')
        if min(self.size) < 1 and self.size != (0, 0):
            raise CameraModelError(f'the image size of a camera must be positive, got {self.size}')
        lengths, given = _LENGTHS[self.model], len(self.distortion)
        used = given if given in lengths else len(np.trim_zeros(self.distortion, 'b'))
        fitting = [length for length in lengths if used <= length <= given]
        if not fitting:
            raise CameraModelError(
                f'{self.model} has {", ".join(map(str, lengths))} numbers in d; here are {given}'
            )
        object.__setattr__(self, 'distortion', self.distortion[: fitting[0]])

    def _convert(self) -> None:
        """Convert the fields to their types."""
        distortion = np.array(self.distortion, np.float64).reshape(-1)
        object.__setattr__(self, 'distortion', distortion)
        object.__setattr__(self, 'matrix', np.array(self.matrix, np.float64))
        object.__setattr__(self, 'size', (int(self.size[0]), int(self.size[1])))
        name = re.sub(r'[^a-z0-9]+', '_', self.model.lower())
        name = _OTHER_NAMES.get(name, name)
        if name in ('', 'none') and not distortion.any():
            name = 'plumb_bob'
        if name in MODELS:
            object.__setattr__(self, 'model', name)

    @classmethod
    def of_view(
        cls,
        size: tuple[int, int] = (640, 480),
        degrees: float = 70.0,
        distortion: np.ndarray | tuple[float, ...] = (),
    ) -> CameraModel:
        """
        Return a camera with a horizontal field of view in degrees and a central optical axis.

        `distortion` is that of `plumb_bob`: k1, k2, p1, p2, k3; the angle is that of the camera
        without it. Raises ValueError if the angle is not between 0 and 180.
        """
        if not 0 < degrees < 180:
            raise ValueError(f'a field of view must be between 0 and 180 degrees, got {degrees}')
        width, height = size
        focal = width / 2 / math.tan(math.radians(degrees) / 2)
        matrix = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
        return cls('plumb_bob', np.array(matrix), np.array(distortion), size)

    @classmethod
    def from_message(cls, info: CameraInfo, rectified: bool = False) -> CameraModel:
        """
        Return the calibration in a message; raise CameraModelError if it cannot be used.

        With `rectified`, it is that of the rectified images: matrix p and no distortion. Messages
        of ROS 1 are accepted, too.
        """
        k, d, p = _calibration_of(info)
        model, matrix, distortion = info.distortion_model, np.reshape(k, (3, 3)), d
        if rectified:
            model, matrix, distortion = 'plumb_bob', np.reshape(p, (3, 4))[:, :3], np.zeros(0)
            if not matrix[0, 0] > 0:
                raise CameraModelError(
                    'the camera is not rectified: the focal lengths in p are not positive'
                )
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
    def coefficients(self) -> np.ndarray:
        """Return the distortion coefficients as OpenCV needs them: four zeros for none."""
        return self.distortion if len(self.distortion) else np.zeros(4)

    @property
    def image_size(self) -> tuple[int, int]:
        """Return the (width, height) of the published images, (0, 0) if it is unknown."""
        whole = self.region if all(self.region) else self.size
        width, height = (side // bins for side, bins in zip(whole, self.binning, strict=True))
        return width, height

    def published(self) -> CameraModel:
        """Return the calibration of the published images, without offset, binning and region."""
        shift = np.eye(3)
        shift[:2, 2] = -np.array(self.offset)
        matrix = scaling(*(1 / bins for bins in self.binning)) @ shift @ self.matrix
        return CameraModel(self.model, matrix, self.distortion, self.image_size)

    def scaled(self, size: tuple[int, int]) -> CameraModel:
        """Return the calibration of the full images, resized from `size` to (width, height)."""
        x, y = size[0] / self.size[0], size[1] / self.size[1]
        return replace(self, matrix=scaling(x, y) @ self.matrix, size=size)

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Raise CameraModelError if the calibration is for another (width, height)."""
        if self.image_size not in ((0, 0), image_size):
            raise CameraModelError(
                f'the calibration is for images of {_by(self.image_size)}, not {_by(image_size)}'
            )

    def normalize(self, keypoints: np.ndarray) -> np.ndarray:
        """
        Return the normalised coordinates (N, 2), float32, of keypoints (N, 2) in pixels.

        They are NaN for pixels at which the distortion cannot be inverted, as happens with a
        polynomial far outside the area in which it was fitted, and for points that are not in
        front of a fisheye camera. `check_size` tells whether the calibration is for images of the
        size of theirs.
        """
        if not len(keypoints):
            return np.zeros((0, 2), np.float32)
        # The centre of a binned pixel is the middle of the pixels that it consists of.
        pixels = (keypoints.astype(float) + 0.5) * self.binning - 0.5 + self.offset
        distortion = self.coefficients
        if self.model == 'equidistant':
            return _undistort_fisheye(pixels, self.matrix, distortion).astype(np.float32)
        pixels = pixels[:, None]
        points = cv2.undistortPointsIter(pixels, self.matrix, distortion, None, None, _ITERATIONS)
        rays = cv2.convertPointsToHomogeneous(points)
        origin = np.zeros(3)
        seen, _ = cv2.projectPoints(rays, origin, origin, self.matrix, distortion)
        wrong = ~(np.linalg.norm(seen - pixels, axis=2)[:, 0] < _TOLERANCE)
        points[wrong] = np.nan
        return points[:, 0].astype(np.float32)


def _undistort_fisheye(
    pixels: np.ndarray, matrix: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """
    Return the normalised coordinates (N, 2) of pixels (N, 2) by the model equidistant.

    They are NaN from 90 degrees on, and beyond the angle up to which the polynomial rises. (OpenCV
    has no result for distorted angles above 90 degrees, at which lenses of stereographic
    projection see 76 degrees.)
    """
    polynomial = np.polynomial.Polynomial([0, 1, *np.c_[np.zeros(4), coefficients].ravel()])
    distorted = polynomial(_ANGLES)
    count = 1 + np.argmin(np.append(np.diff(distorted) > 0, False))
    offsets = (pixels - matrix[:2, 2]) / np.diag(matrix)[:2]
    lengths = np.linalg.norm(offsets, axis=1)
    # The table is exact to 1e-6; Newton's method then to rounding.
    angles = np.interp(lengths, distorted[:count], _ANGLES[:count], right=np.nan)
    for _ in range(2):
        angles -= (polynomial(angles) - lengths) / polynomial.deriv()(angles)
    scales = np.divide(np.tan(angles), lengths, out=np.ones_like(lengths), where=lengths > 0)
    return offsets * scales[:, None]


def is_calibrated(info: CameraInfo) -> bool:
    """Return whether a message has a calibration: without one, drivers leave matrix k zero."""
    return bool(_calibration_of(info)[0][0] > 0)


def _calibration_of(info: CameraInfo) -> tuple:
    """Return k, d and p of a message; they have capital letters in ROS 1."""
    return (info.k, info.d, info.p) if hasattr(info, 'k') else (info.K, info.D, info.P)


def _by(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'
