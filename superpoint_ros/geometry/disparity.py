# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Refinement of disparities by aligning both images of a rectified stereo pair around a point.

In a window around the point, the disparity is a plane (the image of a plane in space), and the
brightness of both images differs by a gain and an offset. These five numbers minimise the squared
differences of the pixels (Gauss-Newton, as in Lucas and Kanade, IJCAI 1981). The standard
deviation follows from the differences that remain.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_RADIUS = 5  # pixels; a window of 11x11
_ITERATIONS = 6
_LARGEST_MOVE = 1.5  # pixels; keypoints of a match are that precise, larger moves lead elsewhere
_LARGEST_SIGMA = 0.5  # pixels; above, the window has too little texture along the row
_MIN_CORRELATION = 0.9
_GAIN = (0.4, 2.5)  # range of brightness ratios; others are chance alignments
_SLOPE_SIGMA = 0.2  # pixels per pixel; prior of the slope of the disparity
_LARGEST_SLOPE = 0.6
_SIGMA_SCALE = 1.3
"""
Factor from the formal standard deviation to the true one.

In the simulated room (2,000 corners, 640x480, noise of 1 and 3 gray levels), the median of the
absolute errors is 0.93 and 0.75 formal standard deviations, instead of 0.67 of a normal
distribution; the errors are 0.02 and 0.03 px in the median, and 0.06 and 0.09 px at 90 %.
"""

_PIXEL_NOISE = 1.0  # gray levels; least noise of the images: quantisation and interpolation

_STEPS = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float32)
_DY, _DX = (grid.ravel() for grid in np.meshgrid(_STEPS, _STEPS, indexing='ij'))
_WEIGHTS = np.exp(-(_DX**2 + _DY**2) / (2 * (0.6 * _RADIUS) ** 2)).astype(np.float32)


def refine_disparities(
    left: np.ndarray, right: np.ndarray, keypoints: np.ndarray, disparities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return refined disparities (N,) and their standard deviations (N,), in pixels, float64.

    `left` and `right` are gray, uint8 (H, W), `keypoints` (N, 2) are those of the left image,
    and `disparities` (N,) are initial values. Both results are NaN where the images do not fit,
    have no texture along the row, or the disparity moves by more than 1.5 pixels.
    """
    if not len(keypoints):
        return np.zeros(0), np.zeros(0)
    x, y = (column[:, None].astype(np.float32) for column in keypoints.T)
    wanted = _centred(_sample(left.astype(np.float32), x + _DX, y + _DY))
    image = right.astype(np.float32)
    slope = cv2.filter2D(image, -1, np.array([[-0.5, 0, 0.5]], np.float32))
    plane = np.zeros((len(keypoints), 3))  # disparity at the keypoint, slopes along x and y
    plane[:, 0] = disparities
    for _ in range(_ITERATIONS):
        fit = _fit(wanted, image, slope, x, y, plane)
        plane[:, 0] += fit.step[:, 0].clip(-1, 1)
        plane[:, 1:] = (plane[:, 1:] + fit.step[:, 1:]).clip(-_LARGEST_SLOPE, _LARGEST_SLOPE)
    refined, (sigmas, correlation) = plane[:, 0].copy(), _quality(wanted, fit)
    good = np.abs(refined - disparities) <= _LARGEST_MOVE
    good &= np.abs(fit.step[:, 0]) < 0.1  # converged
    good &= (fit.gain > _GAIN[0]) & (fit.gain < _GAIN[1])
    good &= (correlation >= _MIN_CORRELATION) & (sigmas <= _LARGEST_SIGMA)
    refined[~good] = sigmas[~good] = np.nan
    return refined, sigmas


class _Fit(NamedTuple):
    """
    One step of the alignment for N windows of P pixels.

    Attributes:
        step: change of the disparity planes (N, 3).
        gain: ratio of the brightness (N,), 0 if it is unknown.
        solution: the four unknowns of the linear problem (N, 4).
        inverse: inverse of its normal matrix (N, 4, 4).
        rows: its columns (N, P, 4), of which the last is the window of the right image.
        weighted: the same, multiplied by the weights of the pixels.

    """

    step: np.ndarray
    gain: np.ndarray
    solution: np.ndarray
    inverse: np.ndarray
    rows: np.ndarray
    weighted: np.ndarray


def _fit(wanted, image, slope, x, y, plane) -> _Fit:
    """Return the step of the disparity planes (N, 3) that aligns the right image best."""
    columns = x + _DX - (plane[:, :1] + plane[:, 1:2] * _DX + plane[:, 2:] * _DY)
    seen = _centred(_sample(image, columns, y + _DY))
    along = -_sample(slope, columns, y + _DY)
    # The gain multiplies all unknowns, which makes the problem linear; centred columns need no
    # offset of the brightness.
    rows = np.stack([_centred(along), _centred(along * _DX), _centred(along * _DY), seen], axis=2)
    weighted = rows * _WEIGHTS[:, None]
    normal = weighted.transpose(0, 2, 1) @ rows
    right = (weighted.transpose(0, 2, 1) @ wanted[:, :, None])[:, :, 0]
    prior = (_PIXEL_NOISE / _SLOPE_SIGMA) ** 2
    normal += np.diag([1e-3, prior, prior, 1e-3])
    right[:, 1:3] -= prior * plane[:, 1:]
    inverse = np.linalg.inv(normal.astype(float))
    solution = np.einsum('nij,nj->ni', inverse, right)
    gain = solution[:, 3]
    gain = np.where(np.abs(gain) > 1e-3, gain, np.nan)
    step = np.nan_to_num(solution[:, :3] / gain[:, None])
    return _Fit(step, np.nan_to_num(gain), solution, inverse, rows, weighted)


def _quality(wanted: np.ndarray, fit: _Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return standard deviations of the disparities (N,), and correlations of the windows (N,)."""
    rest = wanted - np.einsum('npk,nk->np', fit.rows, fit.solution)
    variance = np.maximum((rest**2 @ _WEIGHTS) / _WEIGHTS.sum(), _PIXEL_NOISE**2)
    spread = fit.weighted.transpose(0, 2, 1) @ fit.weighted
    along = fit.inverse[:, 0]
    covariance = np.einsum('ni,nij,nj->n', along, spread, along) * variance
    seen = fit.rows[:, :, 3]
    powers = [(part**2) @ _WEIGHTS for part in (seen, wanted)]
    correlation = (seen * wanted) @ _WEIGHTS / np.sqrt(powers[0] * powers[1] + 1e-6)
    with np.errstate(divide='ignore'):
        return _SIGMA_SCALE * np.sqrt(covariance) / np.abs(fit.gain), correlation


def _sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the pixels (N, P) of an image at positions x and y (N, P)."""
    x, y = (np.ascontiguousarray(each, np.float32) for each in (x, y))
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _centred(windows: np.ndarray) -> np.ndarray:
    """Return windows (N, P) with the weighted mean 0."""
    return windows - (windows @ _WEIGHTS / _WEIGHTS.sum())[:, None]
