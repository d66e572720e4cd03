# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Images as the network takes them, and keypoints back to where they lie in the image.

Images come as uint8, gray (H, W) or BGR (H, W, 3), and become gray, as large as the settings ask,
and whole cells in height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.superpoint import CELL, SMALLEST_SIDE


def to_gray(image: np.ndarray) -> np.ndarray:
    """Return the image as gray uint8 (H, W); raise ValueError where it is no such image."""
    image = np.asarray(image)
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
    if image.ndim == 2:
        return image
    return image[:, :, 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def check_masks(
    mask: np.ndarray | Sequence[np.ndarray | None] | None, grays: list[np.ndarray]
) -> list[np.ndarray | None]:
    """Return a mask for each image; raise ValueError where one does not fit its image."""
    if mask is None or isinstance(mask, np.ndarray):
        mask = [mask] * len(grays)
    masks = [each if each is None else np.asarray(each) for each in mask]
    if len(masks) != len(grays):
        raise ValueError(f'there must be a mask for each of {len(grays)} images; got {len(masks)}')
    for each, gray in zip(masks, grays, strict=True):
        if each is not None and each.shape != gray.shape:
            raise ValueError(
                f'the mask must have the size of the image, {gray.shape[1]}x{gray.shape[0]}; its '
                f'shape is {each.shape}'
            )
    return masks


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask, bool, as it is on an image that was brought to the shape."""
    allowed = mask != 0
    if allowed.shape == shape:
        return allowed
    size = (shape[1], shape[0])
    return cv2.resize(allowed.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) != 0


def resize(gray: np.ndarray, settings: DetectionSettings) -> np.ndarray:
    """Return the image as large as it is to be looked at."""
    largest = max(gray.shape)
    wanted = round(settings.upscale_factor * largest)
    if settings.max_image_size:
        wanted = min(wanted, settings.max_image_size)
    if wanted == largest:
        return gray
    # A strip may become so narrow that its aspect has to give.
    height, width = (max(round(side * wanted / largest), SMALLEST_SIDE) for side in gray.shape)
    # Cubic: keypoints are to lie between the pixels of the original, which linear would blur.
    way = cv2.INTER_AREA if wanted < largest else cv2.INTER_CUBIC
    return cv2.resize(gray, (width, height), interpolation=way)


def scaled(
    points: torch.Tensor, before: np.ndarray | torch.Tensor, after: np.ndarray | torch.Tensor
) -> torch.Tensor:
    """
    Return where points (..., 2) of images (..., H, W) lie in them resized.

    Both sizes may be those of maps with a value for each cell.
    """
    if before.shape[-2:] == after.shape[-2:]:
        return points
    scale = points.new_tensor(after.shape[:-3:-1]) / points.new_tensor(before.shape[:-3:-1])
    return (points + 0.5) * scale - 0.5


def pad(grays: list[np.ndarray]) -> torch.Tensor:
    """Return images of one size as (B, 1, H, W), H and W the next multiples of 8."""
    height, width = grays[0].shape
    bottom, right = -height % CELL, -width % CELL
    if bottom or right:
        grays = [
            cv2.copyMakeBorder(gray, 0, bottom, 0, right, cv2.BORDER_REPLICATE) for gray in grays
        ]
    alone = len(grays) == 1 and grays[0].flags.writeable
    return torch.from_numpy(grays[0][None] if alone else np.stack(grays))[:, None]
