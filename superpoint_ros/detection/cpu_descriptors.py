# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Descriptors at keypoints on a CPU: the equivalent of `detection.descriptors`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpoint_ros.common.compiled import compiled, inlined
from superpoint_ros.detection.preprocessing import SCALE_WEIGHT
from superpoint_ros.model.config import CELL, FINE_CELL, SuperPointOutput


def sample_descriptors(
    output: SuperPointOutput, keypoints: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """
    Return unit descriptors (N, D), float32, at keypoints (N, 2), x and y in pixels, of images.

    `output` is the network's output for these images, as arrays.
    """
    parts = (
        (output.descriptors, CELL, None),
        (output.fine, FINE_CELL, output.fine_projection),
    )
    maps = [
        (np.ascontiguousarray(part.transpose(0, 2, 3, 1)), np.float32(cell), projection)
        for part, cell, projection in parts
        if part is not None
    ]
    rows = []
    for index, points in enumerate(keypoints):
        points = np.ascontiguousarray(points, np.float32)
        found = np.zeros((len(points), output.descriptors.shape[1]), np.float32)
        for of_images, cell, projection in maps:
            if projection is None:
                _add_samples(of_images[index], points, cell, found)
            else:
                hidden = np.zeros((len(points), of_images.shape[3]), np.float32)
                _add_samples(of_images[index], points, cell, hidden)
                _add_projections(hidden, projection, found)
        _normalize(found)
        rows.append(found)
    return rows


def average_scales(descriptors: Sequence[np.ndarray]) -> np.ndarray:
    """
    Return unit descriptors (N, D): the weighted mean of unit descriptors of several scales.

    It is the equivalent of `detection.descriptors.average_scales`.
    """
    total = sum(np.float32(SCALE_WEIGHT**scale) * each for scale, each in enumerate(descriptors))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), np.float32(1e-12))


@compiled
def _add_samples(descriptors, keypoints, cell, result):
    """
    Add descriptors (h, w, D), interpolated at keypoints (N, 2), to `result` (N, D).

    Keypoints are in pixels; `cell` is the side of a cell in pixels. All are float32.
    """
    height, width, size = descriptors.shape
    half, one = np.float32(0.5), np.float32(1)
    values, sums = descriptors.reshape(-1), result.reshape(-1)
    for index in range(len(keypoints)):
        x = (keypoints[index, 0] + half) / cell - half
        y = (keypoints[index, 1] + half) / cell - half
        x = min(max(x, np.float32(0)), np.float32(width - 1))
        y = min(max(y, np.float32(0)), np.float32(height - 1))
        column, row = int(x), int(y)
        right, below = x - np.float32(column), y - np.float32(row)
        next_column, next_row = min(column + 1, width - 1), min(row + 1, height - 1)
        # Flat unsigned indices, without views of rows, which count references.
        top = np.uintp((row * width + column) * size)
        low = np.uintp((next_row * width + column) * size)
        step, into = np.uintp((next_column - column) * size), np.uintp(index * size)
        for channel in range(np.uintp(size)):
            here, there = top + channel, low + channel
            sums[into + channel] += (one - below) * (
                (one - right) * values[here] + right * values[here + step]
            ) + below * ((one - right) * values[there] + right * values[there + step])


@compiled
def _add_projections(hidden, projection, result):
    """
    Add `hidden` (N, C) times the weights in `projection` (C + 1, D) to `result` (N, D), float32.

    The last row of `projection` is the bias.
    """
    count, size = np.uintp(projection.shape[0]), np.uintp(projection.shape[1])
    weights, sums, one = projection.reshape(-1), result.reshape(-1), np.float32(1)
    last = count - np.uintp(1)
    # Two rows and four channels at a time share what they read and write.
    fours = last // np.uintp(4) * np.uintp(4)
    for row in range(0, len(hidden), 2):
        other = min(row + 1, len(hidden) - 1)
        upper, lower = hidden[row], hidden[other]
        above, below = np.uintp(row) * size, np.uintp(other) * size
        for channel in range(np.uintp(0), fours, np.uintp(4)):
            for target in range(size):
                here = channel * size + target
                high = sums[above + target] + _four_products(upper, channel, weights, here, size)
                low = sums[below + target] + _four_products(lower, channel, weights, here, size)
                sums[above + target], sums[below + target] = high, low
        for channel in range(fours, count):
            top = upper[channel] if channel < last else one
            bottom = lower[channel] if channel < last else one
            for target in range(size):
                weight = weights[channel * size + target]
                high = sums[above + target] + top * weight
                low = sums[below + target] + bottom * weight
                sums[above + target], sums[below + target] = high, low


@inlined
def _four_products(values, channel, weights, here, size):
    """Return the sum of four values from `channel` on times weights that are `size` apart."""
    second, third = channel + np.uintp(1), channel + np.uintp(2)
    next_one, next_two = here + size, here + size + size
    return (values[channel] * weights[here] + values[second] * weights[next_one]) + (
        values[third] * weights[next_two] + values[third + np.uintp(1)] * weights[next_two + size]
    )


@compiled
def _normalize(rows):
    """Divide the rows of an array (N, D), float32, by their lengths, in place."""
    count, size = rows.shape
    for index in range(count):
        squares = np.float32(0)
        for channel in range(size):
            squares += rows[index, channel] * rows[index, channel]
        share = np.float32(1) / max(np.sqrt(squares), np.float32(1e-12))
        for channel in range(size):
            rows[index, channel] *= share
