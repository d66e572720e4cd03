# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of the steps from an image to its keypoints, uint8 BGR."""

from __future__ import annotations

import math

import cv2
import numpy as np

from superpoint_ros.common.wording import counted, plain_text
from superpoint_ros.data.sequences.image_files import reduce_to_side
from superpoint_ros.evaluation.detection_steps import DetectionSteps
from superpoint_ros.geometry.homography import rescale_image, scaling, warp_image, warp_points
from superpoint_ros.model.config import CELL, DUSTBIN
from superpoint_ros.visualization import (
    contact_sheet,
    draw_heatmap,
    draw_keypoints,
    enlarge,
    GREEN,
    RED,
    to_bgr,
    WHITE,
    write_text,
)

CLOSE_UP = (8, 6)
"""Number of columns and rows of cells in a close-up."""

ZOOM = 8
"""Side in pixels of the square that a pixel of the image becomes in a close-up."""

WHOLE = 480
"""Longest side in pixels of a picture of the whole image."""


def cells(steps: DetectionSteps) -> np.ndarray:
    """Return a close-up of the cells, tinted green by the probability of a keypoint in each."""
    picture = to_bgr(enlarge(_cut(steps, steps.image), ZOOM))
    left, top, columns, rows = _region(steps)
    free = 1 - steps.probabilities[DUSTBIN, top : top + rows, left : left + columns]
    tint = enlarge(free, CELL * ZOOM)[:, :, None] * 0.5
    picture = (picture * (1 - tint) + np.array(GREEN) * tint).astype(np.uint8)
    for step in range(0, max(picture.shape[:2]), CELL * ZOOM):
        picture[step : step + 1] = picture[:, step : step + 1] = (120, 120, 120)
    return contact_sheet(
        [picture], captions=['cells of 8x8 pixels; green: probability of a keypoint']
    )


def channels(steps: DetectionSteps) -> np.ndarray:
    """Return three cells: pixels, their 64 probabilities, and the one of the dustbin."""
    panels, captions = [], []
    for name, (row, column) in _example_cells(steps).items():
        probabilities = steps.probabilities[:, row, column]
        pixels = np.full((CELL, CELL), 0, np.uint8)
        shown = steps.image[row * CELL :, column * CELL :][:CELL, :CELL]
        pixels[: shown.shape[0], : shown.shape[1]] = shown
        zoom = 24
        table = draw_heatmap(enlarge(probabilities[:DUSTBIN].reshape(CELL, CELL), zoom))
        for index in np.nonzero(probabilities[:DUSTBIN] >= 0.01)[0]:
            place = (int(index) % CELL * zoom + 1, int(index) // CELL * zoom + 16)
            _write(table, f'{probabilities[index] * 100:.0f}', place)
        gap = np.full((CELL * zoom, 8, 3), 32, np.uint8)
        bar = np.full((CELL * zoom, 48, 3), 64, np.uint8)
        level = round(float(probabilities[DUSTBIN]) * len(bar))
        bar[len(bar) - level :] = RED
        _write(bar, f'{probabilities[DUSTBIN] * 100:.0f}', (8, 16))
        panels.append(np.hstack([to_bgr(enlarge(pixels, zoom)), gap, table, gap, bar]))
        captions.append(f'{name}: cell {column}, {row}; its pixels and the dustbin in %')
    return contact_sheet(panels, columns=1, captions=captions)


def pixel_shuffle(steps: DetectionSteps) -> np.ndarray:
    """Return the 64 probabilities of some cells as blocks, and assembled to the heatmap."""
    _, _, columns, rows = _region(steps)
    heatmap = draw_heatmap(enlarge(_cut(steps, steps.heatmap), 5))
    side, gap = CELL * 5, 6
    apart = np.full((rows * (side + gap), columns * (side + gap), 3), 32, np.uint8)
    for row in range(rows):
        for column in range(columns):
            block = heatmap[row * side :][:side, column * side :][:, :side]
            y, x = row * (side + gap), column * (side + gap)
            apart[y : y + block.shape[0], x : x + block.shape[1]] = block
    captions = [
        f'64 probabilities of each of {columns}x{rows} cells',
        f'assembled to {columns * CELL}x{rows * CELL} pixels',
    ]
    return contact_sheet([apart, heatmap], columns=2, captions=captions)


def heatmap(steps: DetectionSteps) -> np.ndarray:
    """Return the image with its keypoints, and the heatmap."""
    small, to_image = rescale_image(steps.image, min(1.0, WHOLE / max(steps.image.shape)))
    points = warp_points(steps.features.keypoints, np.linalg.inv(to_image))
    highest = reduced_maxima(steps.heatmap, small.shape)
    return contact_sheet(
        [draw_keypoints(small, points), draw_heatmap(highest)],
        columns=2,
        captions=[counted(len(points), 'keypoint'), 'heatmap (square root of the probability)'],
    )


def reduced_maxima(heatmap: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a heatmap, reduced to a shape, with maxima of pixels: means would hide peaks."""
    radius = math.ceil(max(heatmap.shape) / max(shape)) // 2
    highest = cv2.dilate(heatmap, np.ones((2 * radius + 1,) * 2))
    # In the middle of the merged pixels; INTER_NEAREST takes the first of them.
    return cv2.resize(highest, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def selection(steps: DetectionSteps) -> np.ndarray:
    """Return close-ups of the selection by threshold, suppression, and refinement."""
    settings = steps.settings
    image = to_bgr(enlarge(_cut(steps, steps.image), 5)) // 2
    values = _cut(steps, steps.heatmap)
    scores, peaks = _cut(steps, steps.score_map), _cut(steps, steps.maxima) > 0
    above = (scores >= settings.threshold) & (scores > 0)
    passed = np.where(enlarge(above, 5)[:, :, None] > 0, draw_heatmap(enlarge(values, 5)), image)
    decided = image.copy()
    decided[enlarge(above, 5) > 0] = RED
    decided[enlarge(peaks, 5) > 0] = GREEN
    radius = settings.nms_radius
    for y, x in np.argwhere(peaks).tolist():
        first, last = (x - radius, y - radius), (x + radius + 1, y + radius + 1)
        corners = [tuple(5 * side for side in corner) for corner in (first, last)]
        cv2.rectangle(decided, *corners, WHITE, 1)
    left, top, _, _ = _region(steps)
    points = warp_points(steps.features.keypoints - [left * CELL, top * CELL], scaling(5))
    final = draw_keypoints(image * 2, points, radius=4)
    captions = [
        f'{settings.keypoints}, at least {plain_text(settings.threshold)}: {int(above.sum())} px',
        f'green: highest score within {radius} px',
        'keypoints, refined' if settings.subpixel else 'keypoints',
    ]
    return contact_sheet([passed, decided, final], columns=3, captions=captions)


def other_view(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the image rotated by 20 degrees and scaled by 0.85, and the homography to it."""
    height, width = image.shape
    turn = np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 20, 0.85)
    return warp_image(image, turn), turn


def descriptors(
    steps: DetectionSteps, other: DetectionSteps, homography: np.ndarray, trained: bool
) -> np.ndarray:
    """Return a keypoint of one view and its similarity to each position of the other view."""
    index = _matchable(steps)
    point, descriptor = steps.features.keypoints[index], steps.features.descriptors[index]
    coarse = other.coarse / np.linalg.norm(other.coarse, axis=0).clip(1e-12)
    similarity = np.tensordot(descriptor, coarse, axes=1).astype(np.float32)
    height, width = other.image.shape
    full = cv2.resize(similarity, None, fx=CELL, fy=CELL, interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap((full.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    blended = cv2.addWeighted(colors[:height, :width], 0.75, to_bgr(other.image), 0.25, 0)
    true = warp_points(point[None], homography)
    picture = _mark(reduce_to_side(blended, WHOLE), true, other, GREEN)
    captions = ['a keypoint', 'similarity; green: the same point']
    if len(other.features):
        best = int((other.features.descriptors @ descriptor).argmax())
        place = other.features.keypoints[best][None]
        picture = _mark(picture, place, other, RED)
        captions[1] += f', red: most similar keypoint, {np.linalg.norm(place - true):.1f} px off'
    if not trained:
        captions[0] += ' (descriptors are untrained)'
    marked = _mark(reduce_to_side(to_bgr(steps.image), WHOLE), point[None], steps, GREEN)
    return contact_sheet([marked, picture], columns=2, captions=captions)


def _mark(
    picture: np.ndarray, points: np.ndarray, steps: DetectionSteps, color: tuple[int, int, int]
) -> np.ndarray:
    """Return a picture of the whole image with thick rings around points."""
    points = warp_points(points, scaling(picture.shape[1] / steps.image.shape[1]))
    for radius in (6, 7) if color == RED else (10, 11):
        picture = draw_keypoints(picture, points, color, radius)
    return picture


def _matchable(steps: DetectionSteps) -> int:
    """Return the index of the best keypoint near the centre, which both views show."""
    height, width = steps.image.shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    off = np.linalg.norm((steps.features.keypoints - middle) / min(height, width), axis=1)
    inner = np.nonzero(off < 0.35)[0]
    return int(inner[0]) if len(inner) else int(off.argmin())


def _example_cells(steps: DetectionSteps) -> dict[str, tuple[int, int]]:
    """
    Return row and column of three cells: one with a keypoint, an ambiguous and an empty one.

    In an image without keypoints, the first one is that of the highest probability.
    """
    left, top, columns, rows = _region(steps)
    area = steps.probabilities[:, top : top + rows, left : left + columns]
    measures = {
        'a keypoint' if len(steps.features) else 'highest probability': area[:DUSTBIN].max(axis=0),
        'ambiguous': -np.abs(area[DUSTBIN] - 0.5),
        'empty': area[DUSTBIN],
    }
    places, free = {}, np.ones(area.shape[1:], bool)
    for name, values in measures.items():
        values = np.where(free, values, -np.inf)
        row, column = np.unravel_index(values.argmax(), values.shape)
        places[name] = (top + int(row), left + int(column))
        free[row, column] = False
    return places


def _region(steps: DetectionSteps) -> tuple[int, int, int, int]:
    """Return left, top, columns and rows, in cells, of the region with the most keypoints."""
    height, width = (side // CELL for side in steps.image.shape)
    columns, rows = min(CLOSE_UP[0], width), min(CLOSE_UP[1], height)
    counts = np.zeros((height, width), np.float32)
    for x, y in (steps.features.keypoints // CELL).astype(int).tolist():
        if 0 <= x < width and 0 <= y < height:
            counts[y, x] += 1
    sums = cv2.boxFilter(
        counts, -1, (columns, rows), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT
    )[: height - rows + 1, : width - columns + 1]
    top, left = np.unravel_index(sums.argmax(), sums.shape)
    return int(left), int(top), columns, rows


def _cut(steps: DetectionSteps, pixels: np.ndarray) -> np.ndarray:
    """Return the region of an array (H, W) that close-ups show."""
    left, top, columns, rows = (CELL * value for value in _region(steps))
    return pixels[top : top + rows, left : left + columns]


def _write(picture: np.ndarray, text: str, place: tuple[int, int]) -> None:
    """Write white text with a dark outline, legible on any background."""
    for color, width in (((0, 0, 0), 3), (WHITE, 1)):
        write_text(picture, text, place, 0.4, color, width)
