# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A folder of rendered pairs: one file each, and `cache.json` that records how they were made.

Images are PNG. Depth is PNG of 16 bits: 0 without a surface, else 1 + 65534 log(d / 0.05) /
log(1000 / 0.05), which is exact to 0.8 parts in 10,000 from 5 cm to 1 km.
"""

from __future__ import annotations

from dataclasses import asdict
import io
import json
from pathlib import Path

import cv2
import numpy as np

from superpoint_ros.common.file_reading import read_npz
from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.data.scenes.pairs import PairSettings, RenderedPair
from superpoint_ros.data.scenes.ray_casting import PinholeCamera, RenderedView

NEAREST, FURTHEST = 0.05, 1000.0
"""Depths in metres that the first and the last code of a depth map stand for."""

READING_OPTIONS = ('--unit', '--up')
"""Names in the description of the scenes that have a value; the others have a fingerprint."""

_CODES = 65534
_RANGE = np.log(FURTHEST / NEAREST)


def encode_depth(depth: np.ndarray) -> np.ndarray:
    """Return depth codes uint16 of depths in metres, 0 where there is none."""
    with np.errstate(divide='ignore', invalid='ignore'):
        codes = 1 + _CODES * np.log(depth / NEAREST) / _RANGE
    codes = np.clip(np.rint(np.nan_to_num(codes, neginf=0.0)), 1, _CODES + 1)
    return np.where(depth > 0, codes, 0).astype(np.uint16)


def decode_depth(codes: np.ndarray) -> np.ndarray:
    """Return depths float32 in metres of depth codes uint16; 0 where there is none."""
    depth = NEAREST * np.exp((codes.astype(np.float32) - 1) * np.float32(_RANGE / _CODES))
    return np.where(codes > 0, depth, 0).astype(np.float32)


class PairCache:
    """
    A folder of rendered pairs; it is made, with `cache.json`, by the first pair.

    Raises ValueError, also while pairs are written, if the folder holds pairs that were made by
    other settings or scenes.
    """

    def __init__(self, folder: Path, settings: PairSettings, scenes: dict[str, str]):
        self.folder = Path(folder)
        self._made_by = {'settings': asdict(settings), 'scenes': scenes}
        self._described = self.folder / 'cache.json'
        if self._described.exists():
            check_made_by(self._described, self._made_by)

    def describe(self) -> None:
        """Write how the pairs are made; raise ValueError if the folder has others."""
        # Another process may have written the description since the folder was opened.
        if self._described.exists():
            check_made_by(self._described, self._made_by)
        else:
            write_atomically(self._described, json.dumps(self._made_by, indent=1).encode())

    def path(self, number: int) -> Path:
        """Return the file of a pair."""
        return self.folder / f'pair_{number:06d}.npz'

    def missing(self, count: int) -> list[int]:
        """Return which of the first `count` pairs are not in the folder yet."""
        return [number for number in range(count) if not self.path(number).exists()]

    def write(self, number: int, pair: RenderedPair) -> None:
        """Write a pair, whole or not at all; raise OSError if the disk is full."""
        arrays = {'focal_length': np.float64(pair.camera.focal_length), 'pose': pair.pose}
        for name, view in (('first', pair.first), ('second', pair.second)):
            arrays[f'{name}_image'] = _png(view.image)
            arrays[f'{name}_depth'] = _png(encode_depth(view.depth))
        content = io.BytesIO()
        np.savez(content, scene=np.array(pair.scene), **arrays)
        self.describe()
        write_atomically(self.path(number), content.getvalue())


def check_made_by(described: Path, made_by: dict) -> None:
    """Raise ValueError that names what differs from how the content of a folder was made."""
    try:
        recorded = json.loads(described.read_text(encoding='utf-8'))
        parts = {part: dict(recorded.get(part, {})) for part in ('settings', 'scenes')}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f'{described} cannot be read ({error}); name another folder') from error
    for part, there in parts.items():
        here = made_by[part]
        for name in sorted(there.keys() | here.keys()):
            if there.get(name) != here.get(name):
                difference = _difference(name, there.get(name), here.get(name), part)
                raise ValueError(
                    f'{described.parent} was made by other {part}: {difference}; '
                    'name another folder'
                )


def _difference(name: str, there: object, here: object, part: str) -> str:
    """Return how a setting, or the fingerprint of files, differs from the recorded one."""
    if there is None or here is None:
        return f'{name} is used {"here" if there is None else "there"} only'
    if part == 'scenes' and name not in READING_OPTIONS:
        return f'{name} has another content there'
    return f'{name} is {there!r} there and {here!r} here'


def list_pairs(folder: Path) -> list[Path]:
    """Return the files of a folder of pairs; raise ValueError if there is none."""
    paths = sorted(Path(folder).glob('pair_*.npz'))
    if not paths:
        raise ValueError(f"{folder} holds no rendered pairs; 'superpoint render-pairs' makes some")
    return paths


def read_pair(path: Path) -> RenderedPair:
    """Return a pair; raise ValueError if the file is not one."""
    try:
        names = ('first_image', 'first_depth', 'second_image', 'second_depth')
        names = (*names, 'focal_length', 'pose', 'scene')
        *images, focal_length, pose, scene = read_npz(path, names)
        pixels = [_image(image) for image in images]
        views = [RenderedView(pixels[k], decode_depth(pixels[k + 1])) for k in (0, 2)]
        height, width = views[0].image.shape
        camera = PinholeCamera(float(focal_length), width, height)
        return RenderedPair(*views, camera, pose, str(scene), Path(path).name)
    except (OSError, TypeError, ValueError, cv2.error) as error:
        raise ValueError(f'{path} is not a rendered pair: {error}') from error


def _png(image: np.ndarray) -> np.ndarray:
    """Return an image as the bytes of a PNG file, uint8 (N,)."""
    return cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 4])[1].ravel()


def _image(data: np.ndarray) -> np.ndarray:
    """Return the image in the bytes of a PNG file."""
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError('an image in it cannot be decoded')
    return image
