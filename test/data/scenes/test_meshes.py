# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""GLB files become textured meshes in metres, and unsuitable ones are refused with a reason."""

import math

import numpy as np
import pytest

from superpoint_ros.data.scenes.glb_meshes import read_glb
from superpoint_ros.data.scenes.meshes import merge, quad, UNTEXTURED
from support.rooms import SIZE, write_room

trimesh = pytest.importorskip('trimesh', reason="needs the extra 'scenes'")
pillow = pytest.importorskip('PIL.Image', reason="needs the extra 'scenes'")


def test_a_glb_file_is_read_with_its_size_and_texture(tmp_path):
    mesh = read_glb(write_room(tmp_path / 'room.glb'))
    assert len(mesh) == 12
    assert mesh.bounds == pytest.approx(np.array([[-3, -2.5, 0], [3, 2.5, 3]]), abs=1e-5)
    assert [texture.shape for texture in mesh.textures] == [(256, 256)]
    assert (mesh.texture == 0).all()


def test_a_file_in_millimetres_is_refused_and_read_with_its_unit(tmp_path):
    path = write_room(tmp_path / 'room.glb', scale=1000.0)
    with pytest.raises(ValueError, match=r'6000 m long.*--unit 0.001'):
        read_glb(path)
    for unit in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match='unit must be greater than 0 m and finite'):
            read_glb(path, unit=unit)
    assert np.ptp(read_glb(path, unit=0.001).bounds, axis=0) == pytest.approx(SIZE, rel=1e-5)


def test_a_file_with_y_up_is_turned(tmp_path):
    mesh = read_glb(write_room(tmp_path / 'room.glb'), up='y')
    assert np.ptp(mesh.bounds, axis=0) == pytest.approx([6, 3, 5], rel=1e-5)
    with pytest.raises(ValueError, match="must be 'y' or 'z', got 'x'"):
        read_glb(tmp_path / 'room.glb', up='x')


def test_a_tiny_file_is_refused(tmp_path):
    path = write_room(tmp_path / 'room.glb', scale=0.001)
    with pytest.raises(ValueError, match=r'is 6\.00 mm long; scale it to metres with --unit'):
        read_glb(path)


def test_lines_and_points_of_a_file_are_left_out(tmp_path):
    line = trimesh.load_path(np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0.0]]))
    points = trimesh.PointCloud(np.eye(3))
    trimesh.Scene([trimesh.creation.box(), line, points]).export(tmp_path / 'mixed.glb')
    assert len(read_glb(tmp_path / 'mixed.glb')) == 12
    trimesh.Scene([line, points]).export(tmp_path / 'lines.glb')
    with pytest.raises(ValueError, match=r'lines\.glb contains no triangles'):
        read_glb(tmp_path / 'lines.glb')


def test_triangles_without_finite_corners_are_left_out_and_counted(tmp_path, caplog):
    mesh = trimesh.creation.box()
    mesh.unmerge_vertices()
    mesh.vertices[:3] = np.nan
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(tmp_path / 'box.glb')
    assert len(read_glb(tmp_path / 'box.glb')) == 11
    assert '1 triangle without finite corners left out' in caplog.text
    mesh.vertices[:] = np.nan
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(tmp_path / 'none.glb')
    with pytest.raises(ValueError, match='has no triangle with finite corners'):
        read_glb(tmp_path / 'none.glb')


def test_a_mesh_without_texture_is_plain(tmp_path):
    mesh = read_glb(write_room(tmp_path / 'plain.glb', textured=False))
    assert (mesh.texture == UNTEXTURED).all()
    assert mesh.textures == []


def test_a_long_and_narrow_texture_is_reduced_to_one_pixel_across(tmp_path):
    mesh = trimesh.creation.box()
    picture = pillow.new('L', (1, 4096), 80)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture)
    uv = np.zeros((len(mesh.vertices), 2))
    mesh.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    mesh.export(tmp_path / 'narrow.glb')
    (texture,) = read_glb(tmp_path / 'narrow.glb').textures
    assert texture.shape == (1024, 1)
    assert (texture == 80).all()


def test_a_missing_file_and_a_file_of_another_kind_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.glb does not exist'):
        read_glb(tmp_path / 'absent.glb')
    other = tmp_path / 'other.glb'
    other.write_bytes(b'no mesh at all')
    with pytest.raises(ValueError, match=r'other\.glb cannot be read'):
        read_glb(other)


def test_inside_out_meshes_are_told(tmp_path, caplog):
    mesh = trimesh.creation.box()
    mesh.invert()
    mesh.export(tmp_path / 'inverted.glb')
    read_glb(tmp_path / 'inverted.glb')
    assert 'face inwards' in caplog.text


def test_merged_meshes_keep_their_textures_once():
    a, b = np.full((4, 4), 10, np.uint8), np.full((4, 4), 20, np.uint8)
    right, up = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    merged = merge([quad(np.zeros(3), right, up, picture) for picture in (a, b, a)])
    assert [int(texture[0, 0]) for texture in merged.textures] == [10, 20]
    assert merged.texture.tolist() == [0, 0, 1, 1, 0, 0]
