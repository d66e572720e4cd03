# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of keypoints, matches and heatmaps, contact sheets, uint8 BGR, and files of charts."""

from __future__ import annotations

from collections.abc import Sequence
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING
import unicodedata

import cv2
import numpy as np

from superpoint_ros.common.file_reading import printable
from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.features import Features

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREEN, RED, WHITE, DARK = (80, 220, 60), (60, 60, 240), (255, 255, 255), (32, 32, 32)

SHIFT = 4
"""Fractional bits of coordinates in drawings: OpenCV draws at sixteenths of a pixel."""

_FAR = 1e6  # pixels: beyond any picture, and within the range of OpenCV's integers
_FONT, _CAPTION_HEIGHT, _GAP = cv2.FONT_HERSHEY_SIMPLEX, 18, 4
_MIN_SCALE, _MAX_CAPTION = 0.3, 400  # smallest legible font scale; pixels


def to_bgr(image: np.ndarray) -> np.ndarray:
    """
    Return a copy of a uint8 image (H, W), (H, W, 1) or (H, W, 3) as BGR (H, W, 3).

    Raises ValueError for other types and shapes, and for an image without pixels.
    """
    image = np.asarray(image)
    shape_fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))
    if image.dtype != np.uint8 or not shape_fits or not image.size:
        raise ValueError(
            'expected a uint8 image (H, W) or (H, W, 3) with pixels, '
            f'got {image.dtype} {image.shape}'
        )
    if image.ndim == 3 and image.shape[2] == 3:
        return image.copy()
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)


def draw_keypoints(
    image: np.ndarray,
    keypoints: Features | np.ndarray,
    color: tuple[int, int, int] | None = None,
    radius: int | None = None,
) -> np.ndarray:
    """
    Return a BGR copy of the image with a ring around each keypoint.

    `keypoints` are Features, or an array (N, 2) of x, y in pixels. Without `color`, the rings of
    an array are green, and those of Features go from green (best) over yellow to red (last).
    Points that are not finite are left out.
    """
    canvas = to_bgr(image)
    if isinstance(keypoints, Features):
        colors, points = ranked_colors(len(keypoints)), keypoints.keypoints
    else:
        points = _points(keypoints)
        colors = [GREEN] * len(points)
    if color is not None:
        colors = [color] * len(points)
    radius = radius or _mark_radius(canvas)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))[::-1]  # the best on top
    for index, place in zip(finite, fixed_points(points[finite]).tolist(), strict=True):
        _ring(canvas, place, colors[index], radius)
    return canvas


def draw_matches(
    a: np.ndarray,
    keypoints_a: np.ndarray,
    b: np.ndarray,
    keypoints_b: np.ndarray,
    matches: np.ndarray,
    correct: np.ndarray | None = None,
) -> np.ndarray:
    """
    Return both images side by side, BGR, with a line for each match.

    Keypoints are (N, 2) and (M, 2) in pixels, `matches` (K, 2) are indices into them. With
    `correct`, bool (K,), correct matches are green and wrong ones red; without it, the colours
    only distinguish the lines. Matches of points that are not finite are left out.
    """
    a, b = to_bgr(a), to_bgr(b)
    height = max(len(a), len(b))
    canvas = np.full((height, a.shape[1] + b.shape[1], 3), DARK, np.uint8)
    canvas[: len(a), : a.shape[1]] = a
    canvas[: len(b), a.shape[1] :] = b
    matches = np.asarray(matches, dtype=np.int64).reshape(-1, 2)
    starts = _points(keypoints_a)[matches[:, 0]]
    ends = _points(keypoints_b)[matches[:, 1]] + [a.shape[1], 0]
    if correct is None:
        colors = _hues(np.arange(len(matches)) * 67 % 180)
        order = np.arange(len(matches))
    else:
        correct = np.asarray(correct, dtype=bool)
        colors = [GREEN if good else RED for good in correct]
        order = np.argsort(~correct, kind='stable')  # wrong ones last, so that they are visible
    radius = max(_mark_radius(a) - 1, 1)
    lines = np.stack([starts, ends], axis=1)
    order = order[np.isfinite(lines).all(axis=(1, 2))[order]]
    for index, (start, end) in zip(order, fixed_points(lines[order]).tolist(), strict=True):
        cv2.line(canvas, start, end, colors[index], 1, cv2.LINE_AA, SHIFT)
        _ring(canvas, start, colors[index], radius)
        _ring(canvas, end, colors[index], radius)
    return canvas


def to_ascii(text: str) -> str:
    """
    Return a text in the characters that the fonts of OpenCV have, the printable ones of ASCII.

    Latin letters lose their accents (ü: u); other characters become '?'.
    """
    letters = unicodedata.normalize('NFKD', text)
    letters = ''.join(each for each in letters if not unicodedata.combining(each))
    return ''.join(each if ' ' <= each <= '~' else '?' for each in letters)


def write_text(
    canvas: np.ndarray,
    text: str,
    place: tuple[int, int],
    scale: float,
    color: tuple[int, int, int] = WHITE,
    thickness: int = 1,
) -> None:
    """
    Write a text, as `to_ascii` returns it, into a BGR image.

    `place` is the left end of its base line in pixels, `scale` the font scale of OpenCV.
    """
    cv2.putText(canvas, to_ascii(text), place, _FONT, scale, color, thickness, cv2.LINE_AA)


def draw_heatmap(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities (H, W) as colours; their square root makes small values visible."""
    levels = (np.sqrt(probabilities.clip(0, 1)) * 255).astype(np.uint8)
    return cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)


def enlarge(pixels: np.ndarray, zoom: int) -> np.ndarray:
    """Return an array (H, W) with each pixel as a square of `zoom` pixels to a side."""
    return np.kron(pixels, np.ones((zoom, zoom), pixels.dtype))


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int | None = None,
    captions: Sequence[str] | None = None,
) -> np.ndarray:
    """
    Return the images in reading order on one BGR sheet, each with its caption below.

    All cells have the size of the largest image; smaller images are centred, not resized. Cells
    are wider if captions of up to `_MAX_CAPTION` pixels need it; longer ones are cut. By default,
    the sheet has about as many rows as columns. Raises ValueError if there is no image or the
    number of captions differs.
    """
    if not images:
        raise ValueError('a contact sheet needs at least one image')
    if captions is not None and len(captions) != len(images):
        raise ValueError(
            f'there must be a caption for each image: got {len(captions)} for {len(images)}'
        )
    pictures = [to_bgr(image) for image in images]
    columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    rows = math.ceil(len(pictures) / columns)
    texts = [to_ascii(caption) for caption in captions or ()]
    longest = max((_text_width(text, _MIN_SCALE) + 4 for text in texts), default=0)
    width = max(*(picture.shape[1] for picture in pictures), min(longest, _MAX_CAPTION))
    height = max(picture.shape[0] for picture in pictures)
    step_x, step_y = width + _GAP, height + _GAP + (_CAPTION_HEIGHT if captions else 0)
    sheet = np.full((rows * step_y + _GAP, columns * step_x + _GAP, 3), DARK, np.uint8)
    for index, picture in enumerate(pictures):
        left = _GAP + index % columns * step_x
        top = _GAP + index // columns * step_y
        if captions:
            text, scale = _fitted(texts[index], width)
            origin = (left + 2, top + height + _CAPTION_HEIGHT - 5)
            write_text(sheet, text, origin, scale)
        left += (width - picture.shape[1]) // 2
        top += (height - picture.shape[0]) // 2
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def write_picture(path: Path, picture: np.ndarray) -> None:
    """
    Write a picture in the format of the suffix of its name, such as .png.

    Missing folders are created. The file is complete or not written at all: OSError, for instance
    if the disk is full. Raises ValueError for a format that OpenCV does not write.
    """
    if not cv2.haveImageWriter(f'picture{printable(path.suffix)}'):
        raise ValueError(f'{path} has no suffix of a format that OpenCV writes, such as .png')
    _, data = cv2.imencode(path.suffix, picture)
    write_atomically(path, data.tobytes())


def write_figure(path: Path, figure: Figure, dpi: float | None = None) -> None:
    """
    Write a chart to a .png file as `write_atomically` does.

    `dpi` are dots per inch, None for those of the figure. Texts of the figure that are not UTF-8
    are made printable, and dollar signs, as in names of files, are no formulas.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if printable(text.get_text()) != text.get_text():
            text.set_text(printable(text.get_text()))
        if '$' in text.get_text():  # numbers at axes, which are formulas, are not made yet
            text.set_parse_math(False)
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=dpi or 'figure')
    write_atomically(path, content.getvalue())


def _points(keypoints: np.ndarray) -> np.ndarray:
    """Return the keypoints as float64 (N, 2); raise ValueError if they have another shape."""
    points = np.asarray(keypoints, dtype=np.float64)
    if points.size == 0:
        return points.reshape(0, 2)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f'keypoints must have shape (N, 2), got {points.shape}')
    return points


def _ring(canvas: np.ndarray, place: list[int], color: tuple[int, int, int], radius: int) -> None:
    """Draw a ring around a point as `fixed_points` returns it; the radius is in pixels."""
    cv2.circle(canvas, place, radius << SHIFT, color, 1, cv2.LINE_AA, SHIFT)


def fixed_points(points: np.ndarray) -> np.ndarray:
    """Return finite points (..., 2) in pixels as int32 with `SHIFT` fractional bits for OpenCV."""
    return np.rint(points.clip(-_FAR, _FAR) * (1 << SHIFT)).astype(np.int32)


def _mark_radius(image: np.ndarray) -> int:
    """Return a radius in pixels that is visible on an image of this size."""
    return max(2, round(max(image.shape[:2]) / 220))


def ranked_colors(count: int) -> list[tuple[int, int, int]]:
    """Return `count` BGR colours from green over yellow to red."""
    return _hues(np.linspace(60, 0, count))


def _hues(hues: np.ndarray) -> list[tuple[int, int, int]]:
    """Return saturated BGR colours of OpenCV hues, 0 (red) to 179."""
    if not len(hues):
        return []
    hsv = np.full((len(hues), 1, 3), 255, np.uint8)
    hsv[:, 0, 0] = np.asarray(hues).astype(np.uint8)
    return [
        tuple(int(value) for value in color[0]) for color in cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    ]


def _fitted(text: str, width: int) -> tuple[str, float]:
    """Return a text in ASCII, shortened if necessary, and a font scale to fit `width` pixels."""
    scale = 0.42
    length = _text_width(text, scale)
    if length > width - 4:
        scale = max(scale * (width - 4) / length, _MIN_SCALE)
        while text and _text_width(text, scale) > width - 4:
            text = text[:-1]
    return text, scale


def _text_width(text: str, scale: float) -> int:
    """Return the width in pixels of a text in ASCII at a font scale."""
    return cv2.getTextSize(text, _FONT, scale, 1)[0][0]
