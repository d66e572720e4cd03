# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Baselines: published detectors with one interface, from a gray image to Features.

Descriptors of all methods are rows of unit length with the dot product as similarity. Binary
descriptors (ORB, AKAZE) become vectors of plus and minus one, whose dot product decreases with the
Hamming distance, so that one matcher serves all. Detectors without descriptors have shape (N, 0).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.detection.cpu_nms import find_maxima
from superpoint_ros.features import Features
from superpoint_ros.wide_matching import match_wide, MatchedImages

NMS_RADIUS = 4
"""NMS radius in pixels (square window), as in the paper's comparison of detectors."""


class Method(NamedTuple):
    """
    Name of a method in tables, and its function from a gray uint8 image to features.

    `match`, if there is one, takes two gray images instead and returns their features and matches.
    """

    name: str
    find: Callable[[np.ndarray], Features]
    match: Callable[[np.ndarray, np.ndarray], MatchedImages] | None = None


def wide_method(method: Method, keypoints: int) -> Method:
    """
    Return the method that matches with the detector of `method` by `match_wide`.

    It finds n keypoints, not more: those of aligned images lie in the shared view.
    """
    detector = method.find
    settings = replace(detector.settings, max_keypoints=keypoints)
    match = partial(match_wide, detector=detector, settings=settings)
    return Method(f'{method.name}, wide', detector, match)


def fast(image: np.ndarray) -> Features:
    """Return FAST corners (Rosten and Drummond 2006) of any contrast, highest score first."""
    found = cv2.FastFeatureDetector_create(threshold=1, nonmaxSuppression=True).detect(image)
    response = np.zeros(image.shape, np.float32)
    for keypoint in found:
        response[round(keypoint.pt[1]), round(keypoint.pt[0])] = keypoint.response
    return _peaks(response)


def harris(image: np.ndarray) -> Features:
    """Return Harris corners (Harris and Stephens 1988): 3x3 windows, k = 0.04."""
    return _peaks(cv2.cornerHarris(image, blockSize=3, ksize=3, k=0.04))


def shi_tomasi(image: np.ndarray) -> Features:
    """Return corners by the smaller eigenvalue (Shi and Tomasi 1994): 3x3 windows."""
    return _peaks(cv2.cornerMinEigenVal(image, blockSize=3, ksize=3))


def _peaks(response: np.ndarray) -> Features:
    """Return the positive maxima of a response (H, W) after NMS, highest first."""
    pixels, scores = find_maxima(response.astype(np.float32), 0.0, NMS_RADIUS)
    y, x = np.divmod(pixels, response.shape[1])
    return Features(np.stack([x, y], axis=1), scores, np.zeros((len(x), 0)))


def _described(algorithm: cv2.Feature2D) -> Callable[[np.ndarray], Features]:
    """Return a method that detects and describes with an OpenCV algorithm."""

    def find(image: np.ndarray) -> Features:
        keypoints, descriptors = algorithm.detectAndCompute(image, None)
        if not keypoints:
            bits = 8 if algorithm.descriptorType() == cv2.CV_8U else 1
            return Features.empty(algorithm.descriptorSize() * bits)
        scores = np.array([keypoint.response for keypoint in keypoints])
        order = np.argsort(-scores, kind='stable')
        points = np.array([keypoint.pt for keypoint in keypoints])
        return Features(points[order], scores[order], unit_descriptors(descriptors[order]))

    return find


def unit_descriptors(descriptors: np.ndarray) -> np.ndarray:
    """
    Return float32 rows of unit length from descriptors (N, D), or from uint8 (N, D / 8) bits.

    Each of D bits becomes plus or minus 1 / sqrt(D): the dot product is 1 - 2 h / D with the
    Hamming distance h.
    """
    if descriptors.dtype == np.uint8:
        bits = np.unpackbits(descriptors, axis=1).astype(np.float32)
        return (bits * 2 - 1) / np.sqrt(np.float32(bits.shape[1]))
    lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)
    return (descriptors / np.maximum(lengths, 1e-12)).astype(np.float32)


DETECTORS = {'FAST': fast, 'Harris': harris, 'Shi-Tomasi': shi_tomasi}
"""Detectors without descriptors, by their names in tables."""

DESCRIBED = {
    # A quarter of OpenCV's default: with that, many photographs have fewer than 1,000 keypoints.
    'sift': lambda count: _described(cv2.SIFT_create(contrastThreshold=0.01)),
    'orb': lambda count: _described(cv2.ORB_create(nfeatures=count)),
    # A tenth of OpenCV's default.
    'akaze': lambda count: _described(cv2.AKAZE_create(threshold=1e-4)),
}
"""
Methods with descriptors: functions from the number of keypoints to `Method.find`.

SIFT (Lowe 2004), ORB (Rublee and others 2011) and AKAZE (Alcantarilla and others 2013).
"""


def described_method(name: str, count: int) -> Method:
    """Return SIFT, ORB or AKAZE by name; raise ValueError for other names."""
    if name.lower() not in DESCRIBED:
        raise ValueError(f'unknown method {name!r}: choose from {", ".join(DESCRIBED)}')
    return Method(name.upper(), DESCRIBED[name.lower()](count))
