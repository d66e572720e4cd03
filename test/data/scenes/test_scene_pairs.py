# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pairs of a room overlap, repeat themselves, and their correspondences show the same thing."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from superpoint_ros.data.scenes import variations
from superpoint_ros.data.scenes.correspondences import transfer
from superpoint_ros.data.scenes.glb_meshes import read_glb
from superpoint_ros.data.scenes.meshes import quad
from superpoint_ros.data.scenes.pairs import overlap, PairSettings, render_pairs
from superpoint_ros.data.scenes.variations import SceneSource
from support.rooms import picture, write_room

pytest.importorskip('embreex', reason="needs the extra 'scenes'")

SETTINGS = PairSettings(width=160, height=120, posters=10, seed=3)


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    path = write_room(tmp_path_factory.mktemp('scene') / 'room.glb')
    return SceneSource('room', (read_glb(path),))


@pytest.fixture(scope='module')
def pairs(room):
    found = dict(render_pairs([room], [picture(1)], SETTINGS, range(6)))
    assert sorted(found) == list(range(6))
    assert all(pair is not None for pair in found.values())
    return list(found.values())


def test_the_views_of_a_pair_overlap_as_much_as_the_settings_ask_for(pairs):
    for pair in pairs:
        assert pair.first.image.shape == (120, 160)
        first, second = pair.depth_views()
        # Measured on views of an eighth of the size, hence the margin.
        assert overlap(first, second, pair.pose) > SETTINGS.min_overlap - 0.1
        assert overlap(second, first, np.linalg.inv(pair.pose)) > SETTINGS.min_overlap - 0.1


def test_corresponding_points_show_the_same_texture(pairs):
    similar = []
    rng = np.random.default_rng(0)
    for pair in pairs:
        # Without what lamps change slowly over the image.
        a, b = (
            v.image.astype(np.float32) - cv2.GaussianBlur(v.image.astype(np.float32), (0, 0), 6)
            for v in (pair.first, pair.second)
        )
        points = rng.uniform([8, 8], [151, 111], (400, 2))
        places, visible = transfer(points, *pair.depth_views(), pair.pose)
        levels = [
            cv2.remap(image, *at[visible].astype(np.float32).T[..., None], cv2.INTER_LINEAR)
            for image, at in ((a, points), (b, places))
        ]
        similar.append(np.corrcoef(levels[0].ravel(), levels[1].ravel())[0, 1])
    assert np.median(similar) > 0.6


def test_a_pair_depends_on_its_number_and_the_seed_alone(room, pairs):
    again = dict(render_pairs([room], [picture(1)], SETTINGS, [4]))[4]
    assert (again.first.image == pairs[4].first.image).all()
    assert again.pose == pytest.approx(pairs[4].pose)
    assert any((a.first.image != b.first.image).any() for a, b in pairwise(pairs))


def test_cameras_move_by_the_baseline_that_was_asked_for(pairs):
    for pair in pairs:
        ratio = np.linalg.norm(pair.pose[:3, 3]) / np.median(pair.first.depth)
        assert 0.9 * SETTINGS.min_baseline < ratio < 1.1 * SETTINGS.max_baseline


def test_a_scene_without_a_floor_is_refused(monkeypatch):
    monkeypatch.setattr(variations, 'PLACES', 2)  # of 60, the search takes seconds
    pole = quad(np.zeros(3), np.array([0.01, 0, 0]), np.array([0, 0, 1.0]), picture())
    with pytest.raises(ValueError, match=r'pole: found no free place.*--up y.*--unit'):
        list(render_pairs([SceneSource('pole', (pole,))], [], SETTINGS, [0]))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'width': 8}, 'width must lie between 64 and 8192'),
        ({'min_baseline': 0.0}, 'min_baseline must be greater than 0'),
        ({'min_baseline': 0.9}, 'min_baseline must be at most max_baseline'),
        ({'min_overlap': 1.0}, 'min_overlap must be greater than 0.0 and less than 1.0'),
        ({'posters': -1}, 'posters must be at least 0'),
    ],
)
def test_settings_that_are_not_allowed_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PairSettings(**values)
