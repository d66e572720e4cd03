# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Matching of images that are turned by any angle, zoomed by up to 4, or taken from oblique angles.

The descriptors match views that are turned by up to about 45 degrees, differ in scale by up to
about 1.5, and are stretched by up to about 2. For other pairs, the images are aligned first. A
search matches small versions of both images at several scales, rotations and tilts, and fits a
similarity, an affinity or a homography to the matches of each combination. Then both images are
drawn as one camera would see them, and their keypoints are detected and matched in these aligned
views. Keypoints are returned in pixels of the images as they were passed.

Matching after view synthesis is known from ASIFT (Morel and Yu, SIAM J. Imaging Sciences 2009) and
MODS (Mishkin and others, CVIU 2015).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from superpoint_ros.alignment_search import ENOUGH_INLIERS, search_alignment
from superpoint_ros.detection.preprocessing import to_gray
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.geometry.alignment import (
    fit_alignment,
    fit_similarity,
    is_bounded,
    TOLERANCE,
    view_change,
    ViewChange,
)
from superpoint_ros.geometry.homography import (
    estimate_homography,
    image_corners,
    INLIER_DISTANCE,
    resample,
    scaling,
    valid_mask,
    warp_points,
)
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.model.config import SMALLEST_SIDE

PLAIN_SHARE = 0.25
"""Share of matches that must fit one alignment, besides `ENOUGH_INLIERS`, for the search to be
skipped."""
PLAIN_ROTATION, PLAIN_ZOOM, PLAIN_STRETCH = 20.0, 1.25, 1.25
"""Largest rotation in degrees, change of scale and stretch that need no alignment."""
MATCH_RADIUS = 0.1
"""Largest distance of matched keypoints in aligned views, relative to their longest side. .05 and
.03 made no difference on planar pairs; parallax needs some."""
MIN_INLIERS, MIN_INLIER_SHARE = 4.5, 1 / 3
"""At least `MIN_INLIERS` plus this share of all matches must fit one similarity of the aligned
views. Of 323 alignments of unrelated photographs none is accepted, and all lack at least 2.2
matches. Of 77 alignments of close-ups, the three that are lost are wrong; of 14 rendered pairs,
none is lost."""
PASSES, MAX_PASSES, PASS_GAIN = 2, 4, 1.1
"""Alignments by the matches of the previous one: on 40 pairs one, two and three had an area under
the homography error curve of .79, .84, .83. Up to `MAX_PASSES` follow while the number of inliers
grows by `PASS_GAIN`."""


class MatchedImages(NamedTuple):
    """
    Features of two images, and pairs of indices into them, int64 (K, 2).

    `to_b` is the homography (3, 3) that aligned image a with image b, None if the images were
    matched without alignment. Features of aligned images lie only where both images show
    the same, and their descriptors are those of the aligned views. `inliers` is the number of
    matches that fit one similarity of the aligned views, 0 without alignment.
    """

    a: Features
    b: Features
    matches: np.ndarray
    to_b: np.ndarray | None = None
    inliers: int = 0

    @property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the matched keypoints of both images, float32 (K, 2) each."""
        return self.a.keypoints[self.matches[:, 0]], self.b.keypoints[self.matches[:, 1]]


def match_images(
    image_a: np.ndarray,
    image_b: np.ndarray,
    detector: Detector,
    settings: DetectionSettings | None = None,
) -> MatchedImages:
    """
    Return the features of two images and their mutual nearest neighbours.

    Images are as for `Detector`, of any two sizes. Raises ValueError if one is invalid.
    """
    a, b = detector([image_a, image_b], settings=settings)
    return MatchedImages(a, b, match_mutual(a.descriptors, b.descriptors))


def match_wide(
    image_a: np.ndarray,
    image_b: np.ndarray,
    detector: Detector,
    settings: DetectionSettings | None = None,
) -> MatchedImages:
    """
    Return matches of two images that may be turned, zoomed by up to 4, or seen at oblique angles.

    The result is that of `match_images` if no alignment is needed, none is found, it leaves fewer
    matches that fit one alignment, or too few of its matches fit one similarity for images that
    show the same. Zoom is relative to the sizes of the images. Images are as for `Detector`;
    without keypoints there are no matches. Raises ValueError if an image is invalid.
    """
    settings = settings or detector.settings
    a, b = to_gray(image_a), to_gray(image_b)
    size_a, size_b = a.shape[::-1], b.shape[::-1]
    plain = match_images(a, b, detector, settings)
    before = fit_alignment(*plain.points, size_a, size_b)
    alignment = before
    if before.inliers < max(ENOUGH_INLIERS, PLAIN_SHARE * len(plain.matches)):
        alignment = max(before, search_alignment(a, b, detector), key=lambda found: found.inliers)
    elif _is_small(view_change(before.to_b, size_b)):
        return plain
    if not alignment.inliers:
        return plain
    result, to_b = plain, alignment.to_b
    for number in range(MAX_PASSES):
        aligned = match_aligned(a, b, to_b, detector, settings)
        if aligned is None:
            break
        more_may_fit = aligned.inliers > PASS_GAIN * result.inliers
        result, to_b = aligned, aligned.to_b
        if number + 1 >= PASSES and not more_may_fit:
            break
    confirmed = result.inliers >= MIN_INLIERS + MIN_INLIER_SHARE * len(result.matches)
    more_fit = fit_alignment(*result.points, size_a, size_b).inliers > before.inliers
    return result if confirmed and more_fit else plain


def _is_small(change: ViewChange) -> bool:
    """Return whether the descriptors match without alignment."""
    return (
        abs(change.rotation) <= PLAIN_ROTATION
        and 1 / PLAIN_ZOOM <= change.zoom <= PLAIN_ZOOM
        and change.stretch <= PLAIN_STRETCH
    )


def match_aligned(
    a: np.ndarray,
    b: np.ndarray,
    to_b: np.ndarray,
    detector: Detector,
    settings: DetectionSettings | None = None,
) -> MatchedImages | None:
    """
    Return the matches of two gray images in views that a homography from a to b aligns.

    The views show the part of the less magnified image that the other one shows. Their scale is
    the geometric mean of those of both images: neither is enlarged or reduced by more than the
    root of the zoom. `to_b` of the result is estimated from the matches. Returns None if the
    images do not overlap, or the homography is not that of a real pair.
    """
    change = view_change(to_b, b.shape[::-1])
    if not change.is_possible:
        return None
    settings = settings or detector.settings
    scale = np.sqrt(change.zoom)
    if scale >= 1:
        return _match_in_frame(a, b, to_b, scale, detector, settings)
    # Draw the views from the image that shows more, so that neither is larger than needed.
    swapped = _match_in_frame(b, a, np.linalg.inv(to_b), 1 / scale, detector, settings)
    if swapped is None:
        return None
    back = np.linalg.inv(swapped.to_b)
    matches = swapped.matches[:, ::-1]
    return MatchedImages(swapped.b, swapped.a, matches, back, swapped.inliers)


def _match_in_frame(
    a: np.ndarray,
    b: np.ndarray,
    to_b: np.ndarray,
    scale: float,
    detector: Detector,
    settings: DetectionSettings,
) -> MatchedImages | None:
    """Return the matches of `match_aligned` in views of `scale` times the scale of a."""
    size_b = b.shape[::-1]
    frame = _common_frame(a.shape[::-1], size_b, to_b, scale)
    if frame is None:
        return None
    a_to_frame, size = frame
    b_to_frame = a_to_frame @ np.linalg.inv(to_b)
    mask = valid_mask(b_to_frame, size_b, size, settings.border_margin)
    views = [resample(a, a_to_frame, size), resample(b, b_to_frame, size)]
    in_a, in_b = detector(views, mask=mask, settings=settings)
    offsets = in_a.keypoints[:, None] - in_b.keypoints[None]
    allowed = np.hypot(offsets[..., 0], offsets[..., 1]) < MATCH_RADIUS * max(size)
    matches = match_mutual(in_a.descriptors, in_b.descriptors, allowed=allowed)
    aligned = MatchedImages(in_a, in_b, matches)
    similarity = fit_similarity(*aligned.points, TOLERANCE * max(size))
    refined = np.linalg.inv(b_to_frame) @ _refined(aligned, size) @ a_to_frame
    return MatchedImages(
        _moved(in_a, np.linalg.inv(a_to_frame)),
        _moved(in_b, np.linalg.inv(b_to_frame)),
        matches,
        refined,
        similarity.inliers,
    )


def _moved(features: Features, homography: np.ndarray) -> Features:
    """Return the features with keypoints mapped by a homography."""
    return replace(features, keypoints=warp_points(features.keypoints, homography))


def _common_frame(
    size_a: tuple[int, int], size_b: tuple[int, int], to_b: np.ndarray, scale: float
) -> tuple[np.ndarray, tuple[int, int]] | None:
    """Return the homography from a to a frame of the part that b shows, too, and its size."""
    seen = valid_mask(np.linalg.inv(to_b), size_b, size_a)
    xs, ys = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    if not len(xs):
        return None
    left, top = xs[0], ys[0]
    width, height = xs[-1] - left + 1, ys[-1] - top + 1
    size = (round(width * scale), round(height * scale))
    if min(size) < SMALLEST_SIDE:
        return None
    crop = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64)
    return scaling(size[0] / width, size[1] / height) @ crop, size


def _refined(aligned: MatchedImages, size: tuple[int, int]) -> np.ndarray:
    """
    Return the homography (3, 3) between two views of one size that are nearly aligned.

    It is the result of `fit_alignment` if less than half of the matches lie in one plane, or a
    corner of the view moves otherwise than by that: the homography of a small plane is inaccurate
    in the rest of the views.
    """
    a, b = aligned.points
    fitted = fit_alignment(a, b, size, size).to_b
    homography = estimate_homography(a, b)
    if homography is None or not is_bounded(homography, fitted, image_corners(size)):
        return fitted
    distances = np.linalg.norm(warp_points(a, homography) - b, axis=1)
    return homography if np.mean(distances < INLIER_DISTANCE) >= 0.5 else fitted
