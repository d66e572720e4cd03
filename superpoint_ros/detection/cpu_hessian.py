# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Extrema of the Hessian response on a CPU: the equivalent of `detection.hessian`.

The loops over pixels are in `detection.cpu_hessian_loops`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
import itertools
from typing import NamedTuple

import numpy as np

from superpoint_ros.detection.cpu_hessian_loops import fill_extrema, RADIUS, STRIP
from superpoint_ros.detection.cpu_hessian_peaks import COLUMNS, RESPONSE, Y
from superpoint_ros.detection.cpu_hessian_rows import BAND
from superpoint_ros.detection.helper_threads import HELPERS, start_in_helper
from superpoint_ros.detection.hessian_constants import (
    count_scales,
    MIN_RESPONSE,
    SADDLE_COARSE_SIMILARITY,
    SADDLE_PROBABILITY,
    SADDLE_SIMILARITY,
    SADDLE_SLOPE,
    SCALE_KERNELS,
    SCALE_STEPS,
    SCALE_WEIGHTS,
    SCALES,
    SMALL_IMAGE_SCALES,
)

# The right half of each kernel, its centre first. The taps of the first two are one pixel apart.
_HALVES = tuple(
    tuple(np.float32(value) for value in kernel[len(kernel) // 2 :]) for kernel in SCALE_KERNELS
)
_KERNELS, _STEPS = (_HALVES[:2], _HALVES[2:]), SCALE_STEPS[2:]


def _constants(scales: int) -> tuple[tuple[np.float32, ...], ...]:
    """Return factors, weights and conditions for saddles, with this number of scales."""
    slope = SADDLE_SLOPE / SCALES[scales - 1] ** 2
    saddle = (SADDLE_SIMILARITY, SADDLE_COARSE_SIMILARITY, slope, SADDLE_PROBABILITY)
    factors = [scale**4 for scale in SCALES[:scales]]
    groups = (factors, SCALE_WEIGHTS[:scales], saddle)
    return tuple(tuple(map(np.float32, group)) for group in groups)


_CONSTANTS = _constants(SMALL_IMAGE_SCALES), _constants(len(SCALES)), np.float32(MIN_RESPONSE)


class HessianExtrema(NamedTuple):
    """
    The N extrema of an image's Hessian response, in reading order.

    Attributes:
        size: height and width of the image.
        pixels: int64 (N,), indices of pixels in reading order.
        points: float32 (N, 2), x and y to a fraction of a pixel.
        response: float32 (N,), in squared gray levels.
        strength: float32 (N,), sum of the responses with coarse scales weighted more, for scores.
        min_probability: float32 (N,), lowest probability of a keypoint; 0 except at saddles.

    """

    size: tuple[int, int]
    pixels: np.ndarray
    points: np.ndarray
    response: np.ndarray
    strength: np.ndarray
    min_probability: np.ndarray


def find_extrema(image: np.ndarray) -> HessianExtrema:
    """Return the extrema of an image (H, W), uint8 or float32 of gray levels from 0 to 255."""
    return start_search(image, 0)()


def start_search(image: np.ndarray, helpers: int) -> Callable[[], HessianExtrema]:
    """
    Start to search an image for extrema; return a function that waits for them.

    `image` is as for `find_extrema`, and must not change until that function returns. Its rows are
    divided among at most `helpers` threads, fewer for a low image. With 0, the returned function
    searches in the calling thread.
    """
    # Compiled functions are compiled again for other layouts and for read-only arrays.
    image = np.require(image, requirements='CW')
    rows = image.shape[0]
    # A stripe also processes `RADIUS` rows on both sides, which affect its extrema.
    count = max(min(helpers, rows // (4 * RADIUS), HELPERS), 1)
    ends = [rows * number // count // BAND * BAND for number in range(count)] + [rows]
    stripes = [partial(_find_in_rows, image, *stripe) for stripe in itertools.pairwise(ends)]
    if helpers:
        stripes = [start_in_helper(stripe) for stripe in stripes]
    return partial(_join, image.shape, stripes)


_Found = tuple[np.ndarray, np.ndarray]  # pixels and values


def _join(size: tuple[int, int], stripes: Sequence[Callable[[], _Found]]) -> HessianExtrema:
    """Return the extrema of the stripes of an image."""
    found = [stripe() for stripe in stripes]
    pixels, values = (
        np.concatenate(each) if len(found) > 1 else each[0] for each in zip(*found, strict=True)
    )
    columns = np.ascontiguousarray(values[:, RESPONSE:COLUMNS].T)
    return HessianExtrema(size, pixels, values[:, : Y + 1], *columns)


def _find_in_rows(image: np.ndarray, first: int, last: int) -> _Found:
    """Return pixels and values of the extrema in the rows from `first` to before `last`."""
    width = image.shape[1]
    # Linux allocates memory when it is first written to, and few pixels are extrema.
    most = (last - first) * width
    pixels, values = np.empty(most, np.int64), np.empty((most, COLUMNS), np.float32)
    scales = count_scales(*image.shape), _KERNELS, _STEPS, _CONSTANTS
    strips = 1 if width <= STRIP + 2 * RADIUS else -(-width // STRIP)
    ends = [width * number // strips for number in range(strips + 1)]
    count = 0
    for columns in itertools.pairwise(ends):
        tile = first, last, *columns
        count = fill_extrema(image, tile, *scales, pixels, values, count)
    order = np.argsort(pixels[:count], kind='stable') if strips > 1 else slice(count)
    return pixels[order], values[order]
