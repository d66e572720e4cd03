# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Photographs as frames of a size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from superpoint_ros.data.sequences.image_files import list_images, read_image
from superpoint_ros.files import demo_photographs

MOST = 8
"""Photographs that are used of a folder."""


def read_photographs(folder: str | Path | None = None) -> list[np.ndarray]:
    """
    Return photographs, uint8 BGR: those of the package, or `MOST` spread over a folder.

    Raises NotADirectoryError where it is no folder, ValueError where it holds no images.
    """
    paths = list_images(folder) if folder else demo_photographs()
    if not paths:
        raise ValueError(f'{folder} holds no images to measure with')
    places = np.linspace(0, len(paths) - 1, min(MOST, len(paths))).round().astype(int)
    return [read_image(paths[place], color=True) for place in places]


def frames_of(photographs: Sequence[np.ndarray], size: tuple[int, int]) -> list[np.ndarray]:
    """Return the middle of each photograph as a frame of (width, height), without distortion."""
    width, height = size
    frames = []
    for photograph in photographs:
        there_height, there_width = photograph.shape[:2]
        scale = min(there_width / width, there_height / height)
        part_width = min(round(width * scale), there_width)
        part_height = min(round(height * scale), there_height)
        x, y = (there_width - part_width) // 2, (there_height - part_height) // 2
        part = photograph[y : y + part_height, x : x + part_width]
        how = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
        frames.append(cv2.resize(part, size, interpolation=how))
    return frames
