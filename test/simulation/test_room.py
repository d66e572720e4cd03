# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The simulated flight: exact poses, smooth motion, reproducible, away from furniture."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.simulation.layout import furnish, ROOM_SIZE
from superpoint_ros.simulation.rendering import rays_of
from superpoint_ros.simulation.room import CameraPath, SimulatedRoom

SMALL = CameraModel.of_view((160, 120))
LENS = CameraModel.of_view((160, 120), distortion=(-0.2, 0.05, 0.001, -0.001, 0.0))


def transfer(room, pose_a, pose_b):
    """Return the image at a, the image at b warped to it, and the pixels that both show."""
    a, b = room.render(pose_a), room.render(pose_b)
    rays = rays_of(room.camera).astype(float)
    points = np.concatenate([rays, np.ones((*rays.shape[:2], 1))], axis=2) * a.depth[..., None]
    world = points @ pose_a[:3, :3].T + pose_a[:3, 3]
    seen = (world - pose_b[:3, 3]) @ pose_b[:3, :3]
    zero, lens = np.zeros(3), room.camera
    pixels, _ = cv2.projectPoints(
        seen.reshape(-1, 1, 3), zero, zero, lens.matrix, lens.coefficients
    )
    x, y = pixels.reshape(*a.depth.shape, 2).astype(np.float32).transpose(2, 0, 1)
    depth = cv2.remap(b.depth, x, y, cv2.INTER_NEAREST, borderValue=0)
    shared = np.abs(depth / seen[..., 2] - 1) < 0.01
    # Pixels at the edges of panels show two surfaces.
    shared &= np.abs(cv2.Laplacian(a.depth, cv2.CV_32F, ksize=3)) < 0.02
    return a.image, cv2.remap(b.image, x, y, cv2.INTER_LINEAR), shared


@pytest.mark.parametrize('camera', [SMALL, LENS], ids=['pinhole', 'lens'])
def test_room_frames_agree_with_their_poses_and_depths(photographs, camera):
    room = SimulatedRoom(photographs, camera, seed=2)
    image, other, shared = transfer(room, room.pose(10.0), room.pose(10.6))
    assert shared.mean() > 0.5
    difference = np.abs(image.astype(int) - other)[shared]
    assert np.median(difference) <= 3
    assert np.percentile(difference, 95) <= 16
    # The same images without the poses differ: the camera has moved.
    unmoved = np.abs(image.astype(int) - room.render(room.pose(10.6)).image)[shared]
    assert np.median(unmoved) > 8


def test_room_frame_has_the_pose_of_its_image(photographs):
    room = SimulatedRoom(photographs, SMALL, seed=3, rate=10)
    frame = room.frame(25)
    assert (frame.stamp, frame.name) == (2.5, '000025')
    assert (frame.image == room.render(frame.pose).image).all()
    np.testing.assert_array_equal(frame.pose, room.pose(2.5))


def distances_from(panel, points):
    """Return the distances (N,) of points (N, 3) from the nearest points of a panel."""
    offset = points - panel.corner
    for edge in (panel.right, panel.down):
        share = ((points - panel.corner) @ edge / (edge @ edge)).clip(0, 1)
        offset = offset - share[:, None] * edge
    return np.linalg.norm(offset, axis=1)


@pytest.mark.parametrize('seed', range(4))
def test_camera_path_is_smooth_and_keeps_away_from_walls_and_furniture(photographs, seed):
    path = CameraPath(seed)
    poses = np.array([path.pose(index / 10) for index in range(3000)])
    rotations, positions = poses[:, :3, :3], poses[:, :3, 3]
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (3000, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    speed = np.linalg.norm(np.diff(positions, axis=0), axis=1) * 10
    assert 0.3 < speed.mean() < 0.6
    assert speed.max() < 1.2
    change = np.linalg.norm(np.diff(positions, 2, axis=0), axis=1) * 100
    assert change.max() < 1.0  # m/s^2
    cosine = (np.einsum('nij,nij->n', rotations[1:], rotations[:-1]) - 1) / 2
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() * 10 < 20  # degrees/s
    # Upright: y of the camera points down, more or less.
    assert rotations[:, 2, 1].max() < -0.9
    for panel in furnish(photographs, np.random.default_rng(seed)):
        assert distances_from(panel, positions[::3]).min() > 0.3


def test_room_is_closed(photographs):
    room = SimulatedRoom(photographs, SMALL, seed=5)
    longest = np.linalg.norm(ROOM_SIZE)
    for seconds in (0, 20, 40, 60):
        depth = room.render(room.pose(seconds)).depth
        assert depth.max() < longest
        assert depth.min() > 0.2


def test_room_frames_are_reproducible_and_depend_on_the_seed(photographs):
    def frames(seed, noise=2.0):
        room = SimulatedRoom(photographs, SMALL, seed, noise=noise, count=3)
        return list(room)

    first, again, other = frames(1), frames(1), frames(2)
    assert len(first) == 3
    assert [frame.stamp for frame in first] == pytest.approx([0, 1 / 30, 2 / 30])
    for a, b, c in zip(first, again, other, strict=True):
        assert (a.image == b.image).all()
        assert (a.pose == b.pose).all()
        assert (a.image != c.image).mean() > 0.5
        assert not np.allclose(a.pose, c.pose)


def test_room_without_a_count_is_an_endless_sequence(photographs):
    room = SimulatedRoom(photographs, SMALL)
    assert len(list(itertools.islice(room, 5))) == 5


def test_room_noise_has_the_requested_strength_and_differs_between_images(photographs):
    clean = SimulatedRoom(photographs, SMALL)
    noisy = SimulatedRoom(photographs, SMALL, noise=4.0)
    grains = [noisy.frame(i).image.astype(int) - clean.frame(i).image for i in (0, 1)]
    middle = (clean.frame(0).image > 30) & (clean.frame(0).image < 225)
    assert grains[0][middle].std() == pytest.approx(4.0, abs=0.3)
    pairs = [SimulatedRoom(photographs, SMALL, noise=noise, baseline=0.1) for noise in (0, 4)]
    clean_right, noisy_right = (room.frame(0).second.astype(int) for room in pairs)
    grains.append(noisy_right - clean_right)
    for other in grains[1:]:  # of the next frame and of the right camera
        assert abs(np.corrcoef(grains[0].ravel(), other.ravel())[0, 1]) < 0.05


def test_room_exposure_blurs_around_its_centre(photographs):
    sharp = SimulatedRoom(photographs, SMALL, rate=2)
    blurred = SimulatedRoom(photographs, SMALL, rate=2, exposure=0.1)
    a, b = sharp.frame(3).image.astype(int), blurred.frame(3).image.astype(int)

    def contrast(image):
        return np.abs(np.diff(image, axis=1)).mean()

    assert contrast(b) < 0.95 * contrast(a)
    earlier, later = (sharp.render(sharp.pose(1.5 + s)).image.astype(int) for s in (-0.1, 0.1))
    assert np.abs(b - a).mean() < 0.7 * min(np.abs(b - earlier).mean(), np.abs(b - later).mean())


def test_right_images_of_the_room_are_those_of_a_camera_at_the_baseline(photographs):
    room = SimulatedRoom(photographs, count=1, baseline=0.2, with_depth=True)
    (frame,) = room
    pose = frame.pose.copy()
    pose[:3, 3] += 0.2 * pose[:3, 0]
    np.testing.assert_array_equal(frame.second, room.render(pose).image)
    np.testing.assert_array_equal(frame.depth, room.render(frame.pose).depth)
    np.testing.assert_array_equal(room.second_camera.pose[:3, 3], [0.2, 0, 0])
    (single,) = SimulatedRoom(photographs, count=1)
    assert single.second is None
    assert single.depth is None


def test_room_reads_photographs_from_files_in_colour(tmp_path):
    for name, color in (('a.png', (255, 0, 0)), ('b.png', (0, 0, 255))):
        cv2.imwrite(str(tmp_path / name), np.full((60, 80, 3), color, np.uint8))
    room = SimulatedRoom(sorted(tmp_path.glob('*.png')), SMALL, color=True)
    image = room.frame(0).image
    assert image.shape == (120, 160, 3)
    assert image[..., 1].max() == 0
    assert image[..., 0].max() > 150
    assert image[..., 2].max() > 150
    gray = SimulatedRoom([tmp_path / 'a.png'], SMALL).frame(0).image
    assert gray.shape == (120, 160)


def test_room_names_arguments_out_of_range(photographs):
    for arguments, words in (
        ({'rate': 0}, 'rate must be above 0'),
        ({'exposure': 0.1}, 'exposure must be 0 to'),
        ({'noise': -1}, 'noise must be 0 to 100'),
        ({'count': 0}, 'count must be 1 or more, got 0'),
        ({'baseline': -0.1}, 'baseline must be 0 to 1 m, got -0.1'),
    ):
        with pytest.raises(ValueError, match=words):
            SimulatedRoom(photographs, SMALL, **arguments)
    with pytest.raises(ValueError, match='at least one photograph'):
        SimulatedRoom([], SMALL)
