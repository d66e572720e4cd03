# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Preprocessing: from images to the input of the network, and keypoints back to the images.

Images are uint8, gray (H, W) or BGR (H, W, 3). Coordinates are pixel centres: the centre of the
top-left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.config import CELL, SMALLEST_SIDE

Points = TypeVar('Points')

SCALE_RATIO = 0.5
"""Size of an image of the pyramid relative to the previous one."""

SCALE_WEIGHT = 0.5
"""Weight of a scale relative to the previous one when descriptors of several scales are averaged.
.35 and .75 made no difference (docs/experiments.md, "Descriptors and scales")."""


def check_image(image: Any) -> None:
    """
    Raise ValueError that names what is wrong if an image cannot be processed.

    Images are NumPy arrays, uint8, of shape (H, W), (H, W, 1) or (H, W, 3) in BGR order, with
    sides of at least 16 pixels.
    """
    if not isinstance(image, np.ndarray):
        hint = '; cv2.imread returns None for a file that it cannot read' if image is None else ''
        raise ValueError(
            'an image must be a NumPy array, uint8 of shape (H, W), gray, or (H, W, 3), BGR; got '
            f'{type(image).__name__}{hint}'
        )
    if image.dtype != np.uint8 or not (
        image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))
    ):
        raise ValueError(
            'an image must be uint8 of shape (H, W), gray, or (H, W, 3), BGR; got '
            f'{image.dtype} of shape {image.shape}'
        )
    if min(image.shape[:2]) < SMALLEST_SIDE:
        raise ValueError(
            f'an image must have at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels; got '
            f'{image.shape[1]}x{image.shape[0]}'
        )


def to_gray(image: Any) -> np.ndarray:
    """
    Return an image as contiguous gray uint8 (H, W), without a copy if it is that already.

    Raises ValueError as `check_image`.
    """
    check_image(image)
    # Views with padded or reversed rows are copied: neither torch nor the compiled loops take
    # them.
    if image.ndim == 3 and image.shape[2] == 3:
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY)
    return np.ascontiguousarray(image if image.ndim == 2 else image[:, :, 0])


def check_masks(
    mask: np.ndarray | Sequence[np.ndarray | None] | None, grays: list[np.ndarray]
) -> list[np.ndarray | None]:
    """
    Return one mask, or None, for each image (H, W) of a list.

    A single mask applies to all images. Raises ValueError if the number of masks or the size of
    one does not match the images.
    """
    masks = list(mask) if isinstance(mask, (list, tuple)) else [mask] * len(grays)
    if len(masks) != len(grays):
        counts = f'{len(masks)} for {counted(len(grays), "image")}'
        raise ValueError(f'there must be a mask for each image; got {counts}')
    masks = [each if each is None else np.asarray(each) for each in masks]
    for each, gray in zip(masks, grays, strict=True):
        if each is not None and each.shape != gray.shape:
            size = f'an array of shape {each.shape}'
            if each.ndim > 1:
                size = 'x'.join(map(str, each.shape[1::-1] + each.shape[2:]))
            raise ValueError(
                f'the mask must have the size of the image, {gray.shape[1]}x{gray.shape[0]}; '
                f'got {size}'
            )
    return masks


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """
    Return a mask (H, W), true where it is not zero, as bool of another shape.

    A pixel of the result is true if all pixels are that it covers, even in part.
    """
    allowed = mask != 0
    if allowed.shape == shape:
        return allowed
    levels, size = allowed.astype(np.uint8) * np.uint8(255), (shape[1], shape[0])
    # Means over areas. OpenCV's INTER_NEAREST takes the first pixel of each area.
    return cv2.resize(levels, size, interpolation=cv2.INTER_AREA) == 255


def longer_side(side: int, settings: DetectionSettings) -> int:
    """Return the longer side that the settings ask for, from that of an image, in pixels."""
    wanted = round(settings.upscale_factor * side)
    return min(wanted, settings.max_image_size) if settings.max_image_size else wanted


def resize(gray: np.ndarray, settings: DetectionSettings) -> np.ndarray:
    """Return an image (H, W) in the size that `upscale_factor` and `max_image_size` ask for."""
    largest = max(gray.shape)
    wanted = longer_side(largest, settings)
    if wanted == largest:
        return gray
    # The aspect ratio of a narrow strip changes: no side may be shorter than the network needs.
    height, width = (max(round(side * wanted / largest), SMALLEST_SIDE) for side in gray.shape)
    # Cubic when enlarging: linear interpolation blurs, and keypoints become less precise.
    interpolation = cv2.INTER_AREA if wanted < largest else cv2.INTER_CUBIC
    return cv2.resize(gray, (width, height), interpolation=interpolation)


def image_pyramid(gray: np.ndarray, count: int) -> list[np.ndarray]:
    """
    Return an image (H, W) and `count` - 1 smaller ones, each `SCALE_RATIO` of the previous one.

    The list is shorter if an image would be smaller than the network accepts.
    """
    result = [gray]
    for scale in range(1, count):
        height, width = (round(side * SCALE_RATIO**scale) for side in gray.shape)
        if min(height, width) < SMALLEST_SIDE:
            break
        result.append(cv2.resize(result[-1], (width, height), interpolation=cv2.INTER_AREA))
    return result


def rescale_keypoints(
    points: Points, before: np.ndarray | Points, after: np.ndarray | Points
) -> Points:
    """
    Return the positions of points (..., 2) of an image after the image was resized.

    `points` are an array or a tensor; `before` and `after` are the image in both sizes,
    (..., H, W), or maps of its cells.
    """
    if before.shape[-2:] == after.shape[-2:]:
        return points
    make = getattr(points, 'new_tensor', np.float32)
    scale = make(after.shape[:-3:-1]) / make(before.shape[:-3:-1])
    return (points + 0.5) * scale - 0.5


def pad(grays: list[np.ndarray]) -> np.ndarray:
    """Return images (H, W) of one size as uint8 (B, 1, H, W), padded to multiples of 8."""
    height, width = grays[0].shape
    alone = len(grays) == 1 and grays[0].flags.writeable  # the engines need writable arrays
    images = (grays[0][None] if alone else np.stack(grays))[:, None]
    below, right = -height % CELL, -width % CELL
    if below == right == 0:
        return images
    return np.pad(images, ((0, 0), (0, 0), (0, below), (0, right)), mode='edge')
