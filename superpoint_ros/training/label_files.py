# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Files of pseudo labels.

A label folder has `labels.json`, which records how all of its labels were made, and for each image
a NumPy file with the whole file name of the image plus `.npz`:

- `keypoints`, float32 (N, 2): x and y in pixels of the image file (the centre of the top-left
  pixel is (0, 0)), highest score first;
- `scores`, float32 (N,): the averaged probability of each;
- `size`, int64 (2,): width and height of the image; `checksum`, int64: CRC-32 of its gray pixels.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple
import zlib

import numpy as np

from superpoint_ros.common.file_reading import read_npz
from superpoint_ros.common.file_writing import write_atomically, write_npz
from superpoint_ros.data.sequences.image_files import list_images

MANIFEST = 'labels.json'
FORMAT = 'superpoint_ros labels 1'


class Labels(NamedTuple):
    """Keypoints (N, 2) of an image and their scores (N,), both float32, highest score first."""

    keypoints: np.ndarray
    scores: np.ndarray


class LabelFolder:
    """
    A folder of labels, which may be made in several runs.

    `origin` describes how labels are made: text and numbers by name. It is written into a new
    folder. Raises ValueError if the labels of an existing one were made in another way, and
    FileNotFoundError without `origin` if there is no such folder.
    """

    def __init__(self, folder: str | Path, origin: dict | None = None):
        self.folder = Path(folder)
        manifest = self.folder / MANIFEST
        if origin is not None and not manifest.exists():
            text = json.dumps({'format': FORMAT, **origin}, indent=2)
            write_atomically(manifest, (text + '\n').encode())
            return
        recorded = _read_manifest(manifest)
        differing = sorted(
            key
            for key, value in (origin or {}).items()
            if json.dumps(value) != json.dumps(recorded.get(key))
        )
        if differing:
            raise ValueError(
                f'the labels in {self.folder} were made in another way '
                f'({", ".join(differing)} differ): continue with the same, or name another folder'
            )

    def path(self, image: Path) -> Path:
        """Return the label file of an image."""
        return self.folder / f'{image.name}.npz'

    def write(self, image: Path, pixels: np.ndarray, labels: Labels) -> None:
        """Write the labels of an image with these gray pixels, uint8 (H, W)."""
        write_npz(
            self.path(image),
            keypoints=labels.keypoints.astype(np.float32),
            scores=labels.scores.astype(np.float32),
            size=np.array(pixels.shape[::-1], np.int64),
            checksum=np.int64(zlib.crc32(np.ascontiguousarray(pixels))),
        )

    def read(self, image: Path, pixels: np.ndarray | None = None) -> Labels:
        """
        Return the labels of an image.

        Raises ValueError if the file is damaged or, given the gray pixels of the image, if the
        labels were made for another image; FileNotFoundError if there are none.
        """
        path = self.path(image)
        try:
            names = ('keypoints', 'scores', 'size', 'checksum')
            keypoints, scores, size, checksum = read_npz(path, names)
            labels, size, checksum = Labels(keypoints, scores), size.tolist(), int(checksum)
            if labels.keypoints.shape != (len(labels.scores), 2):
                raise ValueError(f'its keypoints have shape {labels.keypoints.shape}')
        except (TypeError, ValueError) as error:
            raise ValueError(
                f'the label file {path} is damaged: delete it and run adapt again ({error})'
            ) from error
        if pixels is not None:
            if size != list(pixels.shape[::-1]):
                raise ValueError(
                    f'{path} was made for an image of {size[0]}x{size[1]} pixels; {image} has '
                    f'{pixels.shape[1]}x{pixels.shape[0]}'
                )
            if checksum != zlib.crc32(np.ascontiguousarray(pixels)):
                raise ValueError(f'{path} was made for another image than {image}')
        return labels

    def labelled(self, images: str | Path) -> list[Path]:
        """
        Return the images of a folder that have labels here, in natural order.

        Raises ValueError if there are none.
        """
        found = [image for image in list_images(images) if self.path(image).is_file()]
        if not found:
            raise ValueError(f'{self.folder} has labels for none of the images in {images}')
        return found


def _read_manifest(path: Path) -> dict:
    """Return the origin of the labels in a folder."""
    try:
        origin = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path.parent} is not a label folder, it has no {MANIFEST}: make one with '
            "'superpoint adapt'"
        ) from None
    except ValueError as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    if not isinstance(origin, dict) or origin.pop('format', None) != FORMAT:
        raise ValueError(f'{path} does not have the format {FORMAT!r}')
    return origin
