# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Damaged files give a valid result or one ValueError that names the file.

Defects that concern a part of a recording only give a warning that names the file.

Bytes are inverted and files are cut off at sampled places. `SUPERPOINT_FUZZ_EXAMPLES` sets the
number of places for each kind of file (default 24); 0 stands for all.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from superpoint_ros.data.hpatches import read_homography
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.data.sequences.opening import open_sequence
from superpoint_ros.data.sequences.text_files import read_calibration, read_sensor
from superpoint_ros.features import Features
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import load_weights, save_weights, WeightsMetadata
from support.bags import write_bag
from support.recordings import (
    CALIBRATION,
    EUROC_SENSOR,
    write_euroc,
    write_kitti,
    write_tum,
)

EXAMPLES = int(os.environ.get('SUPERPOINT_FUZZ_EXAMPLES', '24'))

TINY = SuperPointConfig((1, 1, 1, 2), 1, 2)


def all_frames(source: Path) -> list[tuple]:
    """Return what the frames of a source have, after a check that it is valid."""
    sequence = open_sequence(source)
    frames = list(sequence)
    assert frames
    assert sequence.rate > 0
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.ndim == 2
        assert np.isfinite(frame.stamp)
        assert frame.pose is None or np.isfinite(frame.pose).all()
    return []  # text and raw pixels have no checksum: other values may be read


def safetensors(folder: Path):
    path = folder / 'weights.safetensors'
    torch.manual_seed(0)
    save_weights(path, SuperPoint(TINY), WeightsMetadata('recipe', 'data', 'quality', '1'))
    return path, loaded_tensors


def pth(folder: Path):
    path = folder / 'weights.pth'
    torch.manual_seed(0)
    torch.save(SuperPoint(TINY).state_dict(), path)
    return path, loaded_tensors


def loaded_tensors(path: Path) -> list[np.ndarray]:
    model, _ = load_weights(path)
    return [value.numpy() for value in model.state_dict().values()]


def features(folder: Path):
    path = folder / 'features.npz'
    rng = np.random.default_rng(0)
    Features(rng.random((9, 2)), rng.random(9), rng.random((9, 8))).save(path)

    def read(path):
        found = Features.load(path)
        return [found.keypoints, found.scores, found.descriptors]

    return path, read


def labels(folder: Path):
    from superpoint_ros.training.label_files import LabelFolder, Labels

    made = LabelFolder(folder, {'recipe': 'fuzz'})
    rng = np.random.default_rng(0)
    made.write(
        Path('a.png'), np.zeros((24, 32), np.uint8), Labels(rng.random((9, 2)), rng.random(9))
    )

    def read(path):
        found = made.read(Path('a.png'))
        return [found.keypoints, found.scores]

    return made.path(Path('a.png')), read


def checkpoint(folder: Path):
    pytest.importorskip('lightning', reason='needs the extra train')
    from superpoint_ros.training.checkpoints import read_checkpoint

    path = folder / 'last.ckpt'
    torch.save({'recipe': {'steps': 3}, 'global_step': 2, 'state': torch.arange(9)}, path)

    def read(path):
        found = read_checkpoint(path)
        assert found['recipe'] == {'steps': 3}
        return [found['state'].numpy(), np.array(found['global_step'])]

    return path, read


def text_file(name: str, text: str, check):
    def make(folder: Path):
        (folder / name).write_text(text)

        def read(path):
            assert check(path)
            return []

        return folder / name, read

    return make


def is_sensor(path: Path) -> bool:
    camera, pose = read_sensor(path)
    return np.isfinite(camera.matrix).all() and np.isfinite(pose).all()


def glb(folder: Path):
    pytest.importorskip('trimesh', reason='needs the extra scenes')
    from superpoint_ros.data.scenes.glb_meshes import read_glb
    from support.rooms import write_room

    def read(path):
        assert np.isfinite(read_glb(path).triangles).all()
        return []

    return write_room(folder / 'room.glb'), read


def rendered_pair(folder: Path):
    pytest.importorskip('embreex', reason='needs the extra scenes')
    from superpoint_ros.data.scenes.pair_cache import PairCache, read_pair
    from superpoint_ros.data.scenes.pairs import PairSettings, RenderedPair
    from superpoint_ros.data.scenes.ray_casting import PinholeCamera, RenderedView

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (16, 24), dtype=np.uint8)
    views = [RenderedView(image, rng.uniform(1, 5, (16, 24)).astype(np.float32)) for _ in 'ab']
    cache = PairCache(folder, PairSettings(width=64, height=64), {})
    cache.write(0, RenderedPair(*views, PinholeCamera(20.0, 24, 16), np.eye(4), 'room'))

    def read(path):
        pair = read_pair(path)
        return [*pair.first, *pair.second, pair.pose, np.array(pair.camera)]

    return cache.path(0), read


def pair_settings(folder: Path):
    pytest.importorskip('embreex', reason='needs the extra scenes')
    from superpoint_ros.data.scenes.pair_cache import PairCache
    from superpoint_ros.data.scenes.pairs import PairSettings

    def read(path):
        PairCache(path.parent, PairSettings(), {'room': 'hash'})
        return []

    PairCache(folder, PairSettings(), {'room': 'hash'}).describe()
    return folder / 'cache.json', read


def image(suffix: str):
    def make(folder: Path):
        pixels = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)
        assert cv2.imwrite(str(folder / f'image{suffix}'), pixels)

        def read(path):
            found = read_image(path)
            assert found.dtype == np.uint8
            assert found.ndim == 2
            return []

        return folder / f'image{suffix}', read

    return make


def recorded(write, name: str):
    """Return the maker of a recording in the layout of a benchmark, of which a file is damaged."""

    def make(folder: Path):
        source = write(folder)
        return folder / name, lambda path: all_frames(source)

    return make


def write_calibrated_tum(folder: Path) -> Path:
    write_tum(folder, ['100.0', '100.1', '100.2'])
    (folder / 'camera_info.yaml').write_text(CALIBRATION)
    return folder


def bag(storage: str, name: str):
    def make(folder: Path):
        pytest.importorskip('rosbags', reason='needs the library rosbags')
        pixels = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
        content = [('/camera/camera_info', 'info', None, 10**9)]
        content += [('/ground_truth/pose', 'pose', 1.0, 10**9)]
        content += [('/camera/image_raw', 'image', pixels, 10**9 + 10**8 * k) for k in range(2)]
        path = write_bag(folder / 'bag', content, storage)
        return path / name, lambda _: all_frames(path)

    return make


KINDS = {
    'safetensors': safetensors,
    'pth': pth,
    'features.npz': features,
    'labels.npz': labels,
    'checkpoint': checkpoint,
    'calibration.yaml': text_file(
        'camera.yaml', CALIBRATION, lambda path: np.isfinite(read_calibration(path).matrix).all()
    ),
    'sensor.yaml': text_file('sensor.yaml', EUROC_SENSOR, is_sensor),
    'homography': text_file(
        'H_1_2',
        '1.1 0.02 3\n-0.01 0.9 -2\n1e-4 2e-4 1\n',
        lambda path: np.isfinite(np.linalg.inv(read_homography(path))).all(),
    ),
    'glb': glb,
    'rendered pair': rendered_pair,
    'cache.json': pair_settings,
    'png': image('.png'),
    'jpg': image('.jpg'),
    'tum rgb.txt': recorded(write_calibrated_tum, 'rgb.txt'),
    'tum groundtruth.txt': recorded(write_calibrated_tum, 'groundtruth.txt'),
    'tum camera_info.yaml': recorded(write_calibrated_tum, 'camera_info.yaml'),
    'kitti times.txt': recorded(write_kitti, 'sequences/07/times.txt'),
    'kitti calib.txt': recorded(write_kitti, 'sequences/07/calib.txt'),
    'kitti poses': recorded(write_kitti, 'poses/07.txt'),
    'euroc data.csv': recorded(write_euroc, 'mav0/cam0/data.csv'),
    'euroc sensor.yaml': recorded(write_euroc, 'mav0/cam0/sensor.yaml'),
    'euroc poses': recorded(write_euroc, 'mav0/state_groundtruth_estimate0/data.csv'),
    'mcap': bag('mcap', 'bag.mcap'),
    'db3': bag('sqlite3', 'bag.db3'),
    'metadata.yaml': bag('mcap', 'metadata.yaml'),
}


def places(size: int) -> list[int]:
    """Return the places at which a file is damaged: all, or the ends and a random sample."""
    if not EXAMPLES or size <= EXAMPLES:
        return list(range(size))
    sample = np.random.default_rng(size).choice(size, EXAMPLES, replace=False)
    return sorted({0, 1, size - 1, *sample.tolist()})


@pytest.mark.parametrize('damage', ['inverted', 'cut off'])
@pytest.mark.parametrize('kind', KINDS)
def test_a_damaged_file_is_read_correctly_or_named(tmp_path, caplog, kind, damage):
    path, read = KINDS[kind](tmp_path)
    whole, expected = path.read_bytes(), read(path)
    failed = 0
    for place in places(len(whole)):
        content = bytearray(whole[:place] if damage == 'cut off' else whole)
        if damage == 'inverted':
            content[place] ^= 0xFF
        path.write_bytes(content)
        caplog.clear()
        try:
            found = read(path)
        except ValueError as error:
            failed += 1
            message = str(error)
            is_folder = 'bag' in path.parts or kind == 'cache.json'
            names = (path.name, path.parent.name) if is_folder else (path.name,)
            assert any(name in message for name in names), (place, message)
        else:
            # Files with a checksum are never read with other values.
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=f'{damage} at {place}')
            failed += path.name in caplog.text  # a part of it was left out with a warning
    assert failed  # some of this damage can be recognised in every kind of file
