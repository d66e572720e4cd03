# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A folder of pairs keeps images and depth exactly enough, and remembers how it was made."""

from dataclasses import replace

import numpy as np
import pytest

from superpoint_ros.data.scenes.pair_cache import (
    decode_depth,
    encode_depth,
    list_pairs,
    PairCache,
    read_pair,
)
from superpoint_ros.data.scenes.pairs import PairSettings, RenderedPair
from superpoint_ros.data.scenes.ray_casting import PinholeCamera, RenderedView

SETTINGS = PairSettings(width=64, height=64)


def some_pair():
    rng = np.random.default_rng(0)
    views = [
        RenderedView(
            rng.integers(0, 256, (64, 64)).astype(np.uint8),
            rng.uniform(0.3, 80, (64, 64)).astype(np.float32) * (rng.random((64, 64)) < 0.9),
        )
        for _ in range(2)
    ]
    pose = np.eye(4)
    pose[:3, 3] = [0.1, 0.2, 0.3]
    return RenderedPair(*views, PinholeCamera(50.5, 64, 64), pose, 'room')


def test_a_pair_is_read_as_it_was_written(tmp_path):
    cache, pair = PairCache(tmp_path, SETTINGS, {}), some_pair()
    cache.write(2, pair)
    read = read_pair(cache.path(2))
    assert (read.first.image == pair.first.image).all()
    assert (read.second.image == pair.second.image).all()
    assert read.second.depth == pytest.approx(pair.second.depth, rel=1e-4)
    assert read.pose == pytest.approx(pair.pose)
    assert (read.camera, read.scene) == (pair.camera, 'room')


def test_depth_codes_are_exact_to_a_ten_thousandth_from_5_cm_to_1_km():
    depth = np.geomspace(0.0501, 999, 5000).astype(np.float32)
    assert decode_depth(encode_depth(depth)) == pytest.approx(depth, rel=1e-4)
    assert decode_depth(encode_depth(np.zeros(3, np.float32))).tolist() == [0, 0, 0]
    assert decode_depth(encode_depth(np.float32([0.01, 5000]))) == pytest.approx([0.05, 1000])


def test_only_missing_pairs_are_wanted(tmp_path):
    cache = PairCache(tmp_path, SETTINGS, {})
    cache.write(1, some_pair())
    assert cache.missing(3) == [0, 2]
    assert list_pairs(tmp_path) == [cache.path(1)]


def test_a_folder_made_by_other_settings_or_scenes_is_refused(tmp_path):
    scenes = {'room.glb': 16 * 'a', '--unit': '1.0'}
    PairCache(tmp_path, SETTINGS, scenes).write(0, some_pair())
    PairCache(tmp_path, SETTINGS, scenes)
    with pytest.raises(ValueError, match='other settings: seed is 0 there and 1 here'):
        PairCache(tmp_path, replace(SETTINGS, seed=1), scenes)
    with pytest.raises(ValueError, match=r'other scenes: room\.glb has another content there'):
        PairCache(tmp_path, SETTINGS, scenes | {'room.glb': 16 * 'b'})
    with pytest.raises(ValueError, match=r'other scenes: hall\.glb is used here only; name'):
        PairCache(tmp_path, SETTINGS, scenes | {'hall.glb': 16 * 'a'})
    with pytest.raises(ValueError, match=r"--unit is '1\.0' there and '0\.001' here"):
        PairCache(tmp_path, SETTINGS, scenes | {'--unit': '0.001'})


@pytest.mark.parametrize('text', ['{"settings"', '[]', '{"settings": [1], "scenes": {}}'])
def test_a_folder_whose_description_is_damaged_is_named(tmp_path, text):
    (tmp_path / 'cache.json').write_text(text)
    with pytest.raises(ValueError, match=r'cache\.json cannot be read .*; name another folder'):
        PairCache(tmp_path, SETTINGS, {})


def test_a_folder_without_pairs_can_be_made_by_any_settings(tmp_path):
    PairCache(tmp_path / 'pairs', SETTINGS, {})
    assert not (tmp_path / 'pairs').exists()
    PairCache(tmp_path / 'pairs', replace(SETTINGS, seed=1), {}).write(0, some_pair())


def test_pairs_of_two_processes_with_other_settings_are_not_mixed(tmp_path):
    first, second = (PairCache(tmp_path, replace(SETTINGS, seed=seed), {}) for seed in (0, 1))
    first.write(0, some_pair())
    with pytest.raises(ValueError, match='other settings: seed is 0 there and 1 here'):
        second.write(1, some_pair())
    assert list_pairs(tmp_path) == [first.path(0)]


def test_a_folder_without_pairs_is_named(tmp_path):
    with pytest.raises(ValueError, match='holds no rendered pairs'):
        list_pairs(tmp_path)
