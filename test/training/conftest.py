"""What tests of training on photographs share: a folder of small labelled pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from superpoint_ros.sequences import read_image
from superpoint_ros.training.label_files import LabelFolder, Labels

SIZE = (150, 110)


def draw_dots(rng: np.random.Generator, size=SIZE, count=25) -> tuple[np.ndarray, np.ndarray]:
    """Return a gray image with bright dots, and the dots' centres (N, 2), between pixels."""
    width, height = size
    cells = np.stack(np.meshgrid(np.arange(12, width - 12, 18), np.arange(12, height - 12, 18)))
    centres = rng.permutation(cells.reshape(2, -1).T)[:count] + rng.uniform(-3, 3, (count, 2))
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width), 40.0)
    for u, v in centres:
        image += 200 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 1.5**2))
    return image.clip(0, 255).round().astype(np.uint8), centres.astype(np.float32)


@pytest.fixture(scope='session')
def write_photographs() -> Callable[[Path], tuple[Path, Path]]:
    """Return what makes images with dots and labels of them in a folder, and names both."""
    return _write_photographs


def _write_photographs(folder: Path, count: int = 6, size=SIZE) -> tuple[Path, Path]:
    """Return the folders of images with dots, and of their labels, which are the dots."""
    images, labels = folder / 'photos', LabelFolder(folder / 'labels', {'weights': 'by hand'})
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        path = images / f'{number}.png'
        image, points = draw_dots(rng, size)
        cv2.imwrite(str(path), image)
        # Written from the file's pixels, as any reader will see them.
        scores = np.linspace(1, 0.1, len(points))
        labels.write(path, read_image(path), Labels(points, scores))
    return images, labels.folder
