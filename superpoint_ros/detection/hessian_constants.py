# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Constants of the Hessian response and of the scores, for both implementations.

The measurements that they come from are in docs/experiments.md, sections "Keypoints" and "Score".
"""

from __future__ import annotations

import math

import numpy as np

SCALES = (1.2, 1.7, 2.4, 3.4, 4.8)
"""Sigmas of the Gaussian smoothing in pixels; the radius of the spot that responds most is about
1.4 times as large. Three scales repeat less and have a lower AUC (section "Keypoints")."""

SMALL_IMAGE_SCALES = 4
"""Number of scales in images whose longer side is below `LARGE_IMAGE`."""

LARGE_IMAGE = 450
"""Shortest longer side in pixels of images with all scales. The coarsest one makes homographies
more accurate, and the odometry less accurate in images of 320x240 (section "Keypoints"). It is
about 1 % of this side, like the coarsest of the others in those images."""

SCALE_STEPS = (1, 1, 2, 3, 4)
"""Distance in pixels between the taps of the kernel that smooths to each scale. An image that is
already smooth contains no frequencies that wider taps would miss, and needs fewer of them."""

SADDLE_SIMILARITY = 0.6
SADDLE_COARSE_SIMILARITY = 0.82
"""A saddle counts if the responses at all scales but the finest are negative, and their lowest and
highest magnitude have at least the first ratio, those of the two coarsest scales the second one.
Crossings of a checkerboard have .62 and .84 or more (section "Keypoints")."""

SADDLE_SLOPE = 0.05
"""Largest squared gradient at a saddle at the coarsest scale, relative to the magnitude of the
response there. Chosen by hand; a test checks it on a checkerboard."""

SADDLE_PROBABILITY = 0.2
"""Lowest probability of a keypoint at a saddle that counts, whatever the heatmap: the network
prefers the insides of the four corners there, which are less precise. Chosen by hand."""

KERNEL_RADIUS = 2.3
"""Radius of a Gaussian kernel in sigmas, rounded up to whole taps (`SCALE_STEPS`). A third faster
than 3 sigmas, with the same quality (message of commit 47df6ef)."""

PROBABILITY_EXPONENT = 0.75
"""Exponent of the probability in a score (section "Score"). The compiled equivalent computes it by
square roots and has to be changed with it."""

PROBABILITY_SIGMA = 1.0
"""Sigma in pixels of the Gaussian window in which an extremum collects probability; about the
localization error of the heatmap."""

SCALE_WEIGHTS = tuple(scale / 4 for scale in SCALES)
"""Weight of the response at each scale in an extremum's strength, which is their sum: coarse
extrema are more stable under noise, blur and illumination changes, fine ones more precise, and
those that respond at several scales are found again after zooming. The sum instead of the largest
adds .010 to the homography AUC (section "Score"). Positions come from equal weights."""

HALF_STRENGTH = 3000.0
"""Strength, in squared gray levels, at which the strength factor of a score is one half. Chosen
with `PROBABILITY_EXPONENT`; there is no measurement of it alone."""

MIN_RESPONSE = 1.0
"""Response in squared gray levels above which a maximum counts: less is rounding of gray
levels."""


def count_scales(height: int, width: int) -> int:
    """Return the number of scales, the first ones, that are used in an image of this size."""
    return len(SCALES) if max(height, width) >= LARGE_IMAGE else SMALL_IMAGE_SCALES


def _gaussian(sigma: float) -> np.ndarray:
    """Return a Gaussian kernel with sum 1, float32 (2 r + 1,); sigma is in steps of its taps."""
    radius = math.ceil(KERNEL_RADIUS * sigma)
    steps = np.arange(-radius, radius + 1)
    kernel = np.exp(-(steps**2) / (2 * sigma**2))
    return (kernel / kernel.sum()).astype(np.float32)


def _incremental_kernels() -> list[np.ndarray]:
    """Return the Gaussian kernels, with taps `SCALE_STEPS` apart, from each scale to the next."""
    previous = (0.0, *SCALES[:-1])
    return [
        _gaussian(math.sqrt(scale**2 - before**2) / step)
        for scale, before, step in zip(SCALES, previous, SCALE_STEPS, strict=True)
    ]


SCALE_KERNELS = _incremental_kernels()
# Of height 1, not of sum 1: it collects the probability that a keypoint is near.
PROBABILITY_KERNEL = _gaussian(PROBABILITY_SIGMA) * np.float32(
    np.sqrt(2 * np.pi) * PROBABILITY_SIGMA
)
