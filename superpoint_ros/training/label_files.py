# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Labels of photographs as files: which pixels of an image are keypoints.

A label folder holds `labels.json`, which says by what all of its labels were made, and for each
image a NumPy file with the image's whole file name and `.npz` behind it:

- `keypoints`, float32 (N, 2): x and y in pixels of the image file, the centre of the top-left
  pixel being (0, 0), best first;
- `scores`, float32 (N,): the averaged probability of each;
- `size`, int64 (2,): width and height of the image; `checksum`, int64: CRC-32 of its gray pixels.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import NamedTuple
import zipfile
import zlib

import numpy as np

from superpoint_ros.data.sequences.image_files import list_images
from superpoint_ros.files import write_atomically

MANIFEST = 'labels.json'
FORMAT = 'superpoint_ros labels 1'

_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, EOFError) + (
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy raises for files that are cut off, damaged or something else."""


class Labels(NamedTuple):
    """Hold the keypoints (N, 2) and scores (N,) of an image, both float32, best first."""

    keypoints: np.ndarray
    scores: np.ndarray


class LabelFolder:
    """
    A folder of labels, which may be made step by step.

    `origin` says by what labels are made, as text and numbers by name. Raises ValueError where the
    folder exists and its labels were made by something else.
    """

    def __init__(self, folder: str | Path, origin: dict | None = None):
        self.folder = Path(folder)
        manifest = self.folder / MANIFEST
        if origin is None or manifest.exists():
            self.origin = _read_manifest(manifest)
        else:
            self.origin = origin
            text = json.dumps({'format': FORMAT, **origin}, indent=2)
            write_atomically(manifest, (text + '\n').encode())
        differing = sorted(
            key
            for key in origin or {}
            if json.dumps(origin[key]) != json.dumps(self.origin.get(key))
        )
        if differing:
            raise ValueError(
                f'the labels in {self.folder} were made by other means '
                f'({", ".join(differing)} differ): go on with the same, or name another folder'
            )

    def path(self, image: Path) -> Path:
        """Return the file of an image's labels."""
        return self.folder / f'{image.name}.npz'

    def write(self, image: Path, pixels: np.ndarray, labels: Labels) -> None:
        """Write the labels of an image whose gray pixels are uint8 (H, W)."""
        content = io.BytesIO()
        np.savez_compressed(
            content,
            keypoints=labels.keypoints.astype(np.float32),
            scores=labels.scores.astype(np.float32),
            size=np.array(pixels.shape[::-1], np.int64),
            checksum=np.int64(zlib.crc32(np.ascontiguousarray(pixels))),
        )
        write_atomically(self.path(image), content.getvalue())

    def read(self, image: Path, pixels: np.ndarray | None = None) -> Labels:
        """
        Return the labels of an image.

        Raises ValueError where the file is damaged and, given the image's gray pixels, where the
        labels were made for others; FileNotFoundError where there are none.
        """
        path = self.path(image)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                labels = Labels(arrays['keypoints'], arrays['scores'])
                size, checksum = arrays['size'].tolist(), int(arrays['checksum'])
            if labels.keypoints.shape != (len(labels.scores), 2):
                raise ValueError(f'its keypoints have shape {labels.keypoints.shape}')
        except _UNREADABLE as error:
            raise ValueError(
                f'{path} is no whole label file: delete it and adapt anew ({error})'
            ) from error
        if pixels is not None:
            if size != list(pixels.shape[::-1]):
                raise ValueError(
                    f'{path} was made for an image of {size[0]}x{size[1]} pixels; {image} has '
                    f'{pixels.shape[1]}x{pixels.shape[0]}'
                )
            if checksum != zlib.crc32(np.ascontiguousarray(pixels)):
                raise ValueError(f'{path} was made for an image of other content than {image}')
        return labels

    def labelled(self, images: str | Path) -> list[Path]:
        """
        Return the images of a folder that have labels here, in natural order.

        Raises ValueError where there are none.
        """
        found = [image for image in list_images(images) if self.path(image).is_file()]
        if not found:
            raise ValueError(f'{self.folder} holds labels of none of the images in {images}')
        return found


def _read_manifest(path: Path) -> dict:
    """Return what a label folder says of itself, without the format."""
    try:
        origin = json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path.parent} is no label folder, it has no {MANIFEST}: make one by '
            "'superpoint adapt'"
        ) from None
    except ValueError as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    if not isinstance(origin, dict) or origin.pop('format', None) != FORMAT:
        raise ValueError(f'{path} is not of the format {FORMAT!r}')
    return origin
