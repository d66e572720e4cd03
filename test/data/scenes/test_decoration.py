# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Plain surfaces get pictures: posters lie on walls, facades on what has no texture."""

import numpy as np
import pytest

from superpoint_ros.data.scenes.decoration import decorate, GAP, posters, with_facades
from superpoint_ros.data.scenes.glb_meshes import read_glb
from superpoint_ros.data.scenes.meshes import UNTEXTURED
from superpoint_ros.data.scenes.ray_casting import RayCaster
from support.rooms import picture, write_room

pytest.importorskip('embreex', reason="needs the extra 'scenes'")

PLACES = np.array([[0.0, 0, 1.5]])


def test_posters_lie_a_little_in_front_of_walls_floor_and_ceiling(tmp_path):
    mesh = read_glb(write_room(tmp_path / 'room.glb'))
    found = posters(RayCaster(mesh), PLACES, [picture(1)], 20, np.random.default_rng(0))
    assert len(found) > 10
    for poster in found:
        corners = poster.triangles.reshape(-1, 3)
        beyond = np.abs([corners[:, 0], corners[:, 1], corners[:, 2] - 1.5]).T
        gap = np.array([3, 2.5, 1.5]) - beyond
        assert gap.max(axis=0).min() == pytest.approx(GAP, abs=1e-4)
        assert gap.min() > 0


def test_there_are_no_posters_without_pictures_or_places(tmp_path):
    caster = RayCaster(read_glb(write_room(tmp_path / 'room.glb')))
    rng = np.random.default_rng(0)
    assert posters(caster, PLACES, [], 5, rng) == []
    assert posters(caster, np.zeros((0, 3)), [picture()], 5, rng) == []


def test_untextured_triangles_get_a_picture_in_proportion_to_their_size(tmp_path):
    mesh = read_glb(write_room(tmp_path / 'plain.glb', textured=False))
    with_pictures = with_facades(mesh, [picture(1)], 1.0, np.random.default_rng(0))
    assert (with_pictures.texture >= 0).all()
    sides = np.ptp(with_pictures.triangles, axis=1).max(axis=1)
    texture_sides = np.ptp(with_pictures.uv, axis=1).max(axis=1)
    assert texture_sides / sides == pytest.approx(np.full(12, texture_sides[0] / sides[0]), 1e-4)
    without = with_facades(mesh, [picture(1)], 0.0, np.random.default_rng(0))
    assert (without.texture == UNTEXTURED).all()


def test_a_ceiling_closes_a_scene_from_above(tmp_path):
    mesh = read_glb(write_room(tmp_path / 'room.glb'))
    closed = decorate(mesh, [picture(1)], True, np.random.default_rng(0))
    assert len(closed) == len(mesh) + 2
    assert closed.triangles[-2:, :, 2].min() >= 3.0
