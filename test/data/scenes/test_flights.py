# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Flights are smooth, keep away from surfaces, and have motion blur and changing light."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip('embreex', reason="needs the extra 'scenes'")
pytest.importorskip('scipy', reason="needs the extra 'scenes'")

from superpoint_ros.data.scenes.cameras import surface_distances
from superpoint_ros.data.scenes.changing_light import ChangingLight, MEAN
from superpoint_ros.data.scenes.flight_settings import FlightSettings, MOTIONS
from superpoint_ros.data.scenes.flights import CameraTrajectory, Flight, RENDERER_VERSION
from superpoint_ros.data.scenes.meshes import merge, quad
from superpoint_ros.data.scenes.path_planning import FlightSpace, plan_path, resample
from superpoint_ros.data.scenes.ray_casting import Lighting, PinholeCamera, RayCaster
from superpoint_ros.data.scenes.sources import read_sources
from support.rooms import picture, write_room

HALF = np.array([5.0, 4.0, 1.5])
EVEN = Lighting(ambient=1.0, lamps=(), shadows=False, mean=100.0)


def hall(wall=True):
    """Return a hall of 10 x 8 x 3 m, with a wall across the middle that leaves a passage."""
    x, y, z = np.diag(HALF)
    image = picture()
    parts = [quad(sign * x, y, z, image) for sign in (1, -1)]
    parts += [quad(sign * y, x, z, image) for sign in (1, -1)]
    parts += [quad(sign * z, x, y, image) for sign in (1, -1)]
    if wall:
        parts.append(quad(np.array([0, -1.5, 0.0]), 2.5 * y / 4, z, image))
    return RayCaster(merge(parts))


def space(caster, clearance=0.3, along=False):
    return FlightSpace(caster, np.stack([-HALF, HALF]), (1.2, 1.8), clearance, along)


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_a_path_is_long_enough_and_keeps_away_from_walls(seed):
    caster = hall()
    path = plan_path(space(caster), 25.0, 1.5, np.random.default_rng(seed))
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert steps.sum() >= 25
    assert steps.max() < 0.11
    assert surface_distances(caster, path).min() > 0.15
    assert (path[:, 2] > -0.31).all()
    assert (path[:, 2] < 0.31).all()
    # It never turns back, and by at most 30 degrees within 10 cm.
    ahead = np.diff(path, axis=0) / steps[:, None]
    assert (ahead[1:] * ahead[:-1]).sum(axis=1).min() > np.cos(np.deg2rad(30))


def test_a_path_along_the_scene_passes_from_one_end_to_the_other():
    path = plan_path(space(hall(), along=True), 5.0, 1.5, np.random.default_rng(0))
    assert path[0, 0] < -3
    assert path[:, 0].max() > 3
    # Through the passage at y > 1, not through the wall.
    crossing = path[np.abs(path[:, 0]).argmin()]
    assert crossing[1] > 1.1


def test_a_place_that_is_too_narrow_is_named():
    with pytest.raises(ValueError, match='found no free space for a path 1.6 m from all surfaces'):
        plan_path(space(hall(), clearance=1.6), 5.0, 1.5, np.random.default_rng(0))


def test_a_path_is_resampled_at_even_distances():
    path = resample(np.array([[0, 0, 0], [1, 0, 0], [1, 2, 0.0]]), 0.5)
    np.testing.assert_allclose(path[:, 0], [0, 0.5, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(path[:, 1], [0, 0, 0, 0.5, 1, 1.5, 2])


@pytest.mark.parametrize('name', MOTIONS)
def test_a_motion_is_smooth_and_has_its_speed(name):
    motion = MOTIONS[name]
    angle = np.linspace(0, 2 * np.pi, 400)
    radius = 12 * motion.speed / (2 * np.pi)
    circle = radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    circle = np.concatenate([circle, circle[1:]])
    trajectory = CameraTrajectory(circle, motion, 6.0, np.random.default_rng(0))
    times = np.arange(0, 6, 0.05)
    poses = np.array([trajectory.pose(time) for time in times])
    velocities = np.array([trajectory.velocity(time) for time in times])
    assert np.linalg.norm(velocities, axis=1).mean() == pytest.approx(motion.speed, rel=0.25)
    np.testing.assert_allclose(
        (poses[2:, :3, 3] - poses[:-2, :3, 3]) / 0.1, velocities[1:-1], atol=0.1 * motion.speed
    )
    turns = poses[:-1, :3, :3].transpose(0, 2, 1) @ poses[1:, :3, :3]
    angles = np.degrees(np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert angles.max() / 0.05 < 100  # degrees per second
    # The camera looks about where it goes.
    ahead = (poses[:, :3, 2] * velocities).sum(axis=1) / np.linalg.norm(velocities, axis=1)
    assert ahead.min() > np.cos(np.deg2rad(45))


def test_a_path_that_is_too_short_for_a_motion_is_named():
    short = np.array([[0, 0, 0], [1.0, 0, 0]])
    with pytest.raises(ValueError, match=r'a path of 1\.0 m is too short: .* m are needed'):
        CameraTrajectory(short, MOTIONS['handheld'], 5.0, np.random.default_rng(0))


def test_an_exposed_image_is_blurred_by_motion_and_sharp_at_rest():
    camera = PinholeCamera(120.0, 128, 96)
    caster = hall(wall=False)
    pose = np.array([[0, 0, 1.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    moved = [pose.copy() for _ in range(6)]
    for index, each in enumerate(moved):
        each[1, 3] = 0.06 * (index - 2.5)  # 120 px * 0.3 m / 5 m: 7 px
    still, blurred = (caster.expose(camera, poses, EVEN) for poses in ([pose] * 6, moved))
    rendered = caster.render(camera, pose, EVEN).image
    difference = still.astype(float) - rendered
    assert np.abs(difference).mean() < 6
    along = [np.abs(np.diff(image.astype(float), axis=1)).mean() for image in (still, blurred)]
    across = [np.abs(np.diff(image.astype(float), axis=0)).mean() for image in (still, blurred)]
    assert along[1] < 0.7 * along[0]
    assert across[1] / across[0] > along[1] / along[0]


@pytest.mark.parametrize('instants', [1, 2, 6])
def test_an_exposed_image_of_a_still_camera_shows_the_scene_where_its_depth_is(instants):
    camera, x, z = PinholeCamera(120.0, 128, 96), np.arange(128), np.arange(96)[:, None]
    image = (60 + 30 * np.sin(x / 9) + 30 * np.cos(z / 7)).astype(np.uint8)
    wall = quad(np.array([4.0, 0, 0]), np.array([0, -3.0, 0]), np.array([0, 0, 3.0]), image)
    caster = RayCaster(wall)
    pose = np.array([[0, 0, 1.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    exposed = caster.expose(camera, [pose] * instants, EVEN).astype(float)
    rendered = caster.render(camera, pose, EVEN).image.astype(float)
    slopes = np.stack([slope.ravel() for slope in np.gradient(rendered)], axis=1)
    shift = np.linalg.lstsq(slopes, (exposed - rendered).ravel(), rcond=None)[0]
    assert np.abs(shift).max() < 0.02


def test_the_exposure_changes_and_lamps_swing_without_jumps():
    places = np.stack([np.linspace(0, 20, 200), np.zeros(200), np.zeros(200)], axis=1)

    def light(motion, exposure, seed=0):
        settings = FlightSettings(light_change=motion, exposure_change=exposure)
        return ChangingLight(places, True, settings, np.random.default_rng(seed))

    times = np.arange(0, 12, 0.02)
    changing = [light(1.0, 1.0).at(time, places[5], 0) for time in times]
    means = np.array([each.mean for each in changing])
    assert means.min() < 0.85 * MEAN
    assert means.max() > 1.15 * MEAN
    positions = np.array([each.lamps[0].position for each in changing])
    assert np.ptp(positions, axis=0).max() > 0.5
    still = [light(0.0, 0.0).at(time, places[5], 0) for time in times[::100]]
    assert {each.mean for each in still} == {MEAN}
    assert len({each.lamps[0].strength for each in still}) == 1
    # Along the path, lamps fade in and out.
    walking = [light(0.0, 0.0).at(0.0, place, 0) for place in places]
    totals = np.array([sum(lamp.strength for lamp in each.lamps) for each in walking])
    assert np.abs(np.diff(totals)).max() < 0.25
    sunny = ChangingLight(places, False, FlightSettings(), np.random.default_rng(1))
    suns = np.array([sunny.at(time, places[0], 0).sun for time in times])
    assert np.ptp(np.linalg.norm(suns, axis=1)) > 0.1
    assert (suns[:, 2] > 0).all()


def test_noise_of_an_exposed_image_depends_on_its_seed():
    camera = PinholeCamera(60.0, 64, 48)
    caster = hall()
    pose = np.array([[0, 0, 1.0, -4], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    images = [
        caster.expose(camera, [pose], replace(EVEN, noise=4.0, **seed))
        for seed in ({'noise_seed': 1}, {'noise_seed': 1}, {'noise_seed': 2})
    ]
    assert (images[0] == images[1]).all()
    assert 2 < cv2.absdiff(images[0], images[2]).mean() < 8


def test_frames_look_as_the_version_of_the_renderer_makes_them(tmp_path):
    # If a change of path, light or rendering fails this test, increase RENDERER_VERSION, and
    # replace the numbers.
    scene = read_sources([write_room(tmp_path / 'room.glb')], [], 1.0, 'z')[0]
    settings = FlightSettings(96, 64, rate=5.0, frames=5, posters=4, baseline=0.0, depth=False)
    image = Flight(scene, [picture(3)], settings).frame(4).image
    blocks = cv2.resize(image, (6, 4), interpolation=cv2.INTER_AREA).astype(int)
    expected = [
        [129, 140, 152, 141, 79, 61],
        [150, 157, 173, 147, 88, 60],
        [131, 159, 166, 131, 76, 64],
        [101, 128, 125, 115, 89, 74],
    ]
    assert RENDERER_VERSION == 2
    assert np.abs(blocks - expected).max() <= 3
