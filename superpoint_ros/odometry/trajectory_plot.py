# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Trajectories drawn as a plan: the true way and the estimated one, seen from above."""

from __future__ import annotations

import cv2
import numpy as np

_TRUTH, _ESTIMATE, _DARK = (60, 160, 60), (60, 60, 240), (32, 32, 32)
_MARGIN = 48
_SHIFT = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FAR = 1e6  # pixels: farther than anything to be seen, and within OpenCV's whole numbers


def plane_of(points: np.ndarray) -> np.ndarray:
    """Return the two directions (2, 3) in which points (N, 3) extend the most."""
    centred = points - points.mean(axis=0)
    return np.linalg.svd(centred, full_matrices=False)[2][:2]


def draw_plan(
    estimated: np.ndarray, truth: np.ndarray, size: tuple[int, int], caption: str = ''
) -> np.ndarray:
    """
    Return a BGR picture of `size` (width, height) with two trajectories, in one frame.

    `estimated` and `truth` are positions (N, 3), in metres; either may be empty. They are seen
    along the direction in which the true one, or without one the estimate, extends the least.
    """
    width, height = size
    canvas = np.full((height, width, 3), 255, np.uint8)
    ways = [np.asarray(way, float).reshape(-1, 3) for way in (truth, estimated)]
    shown = next((way for way in ways if len(way) >= 3), None)
    if shown is None:
        return _with_text(canvas, caption or 'no trajectory yet')
    plane = plane_of(shown)
    low, high = (shown @ plane.T).min(axis=0), (shown @ plane.T).max(axis=0)
    room = np.array([width, height]) - 2 * _MARGIN
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    offset = np.array([width, height]) / 2 - scale * (low + high) / 2 * [1, -1]
    _draw_bar(canvas, scale)
    for way, color, thickness in zip(ways, (_TRUTH, _ESTIMATE), (3, 1), strict=True):
        if len(way):
            places = way @ plane.T * scale * [1, -1] + offset
            fixed = np.rint(places.clip(-_FAR, _FAR) * 2**_SHIFT).astype(np.int32)
            cv2.polylines(canvas, [fixed[:, None]], False, color, thickness, cv2.LINE_AA, _SHIFT)
            cv2.circle(canvas, fixed[-1].tolist(), 5 << _SHIFT, color, -1, cv2.LINE_AA, _SHIFT)
    for row, (name, color) in enumerate((('true', _TRUTH), ('estimated', _ESTIMATE))):
        cv2.line(canvas, (12, 42 + 18 * row), (36, 42 + 18 * row), color, 2, cv2.LINE_AA)
        cv2.putText(canvas, name, (44, 46 + 18 * row), _FONT, 0.45, _DARK, 1, cv2.LINE_AA)
    return _with_text(canvas, caption)


def _draw_bar(canvas: np.ndarray, scale: float) -> None:
    """Draw a bar of a round length."""
    lengths = [factor * 10.0**power for power in range(-4, 5) for factor in (1, 2, 5)]
    fitting = [length for length in lengths if length * scale <= canvas.shape[1] / 3]
    if not fitting:
        return
    length, bottom = fitting[-1], canvas.shape[0] - 16
    end = 12 + round(length * scale)
    cv2.line(canvas, (12, bottom), (end, bottom), _DARK, 2, cv2.LINE_AA)
    cv2.putText(canvas, f'{length:g} m', (end + 8, bottom + 4), _FONT, 0.45, _DARK, 1, cv2.LINE_AA)


def _with_text(canvas: np.ndarray, text: str) -> np.ndarray:
    cv2.putText(canvas, text, (12, 22), _FONT, 0.5, _DARK, 1, cv2.LINE_AA)
    return canvas
