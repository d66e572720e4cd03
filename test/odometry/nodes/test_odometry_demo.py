# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demonstration of odometry: four processes, what they measure, and the picture they leave."""

from __future__ import annotations

from importlib.util import find_spec
import os
from pathlib import Path
import re
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed')

from superpoint_ros.cli.main import main
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.resources import demo_photographs
from superpoint_ros.ros.testing.odometry_demonstration import _write_picture, OdometryMeasurements
from superpoint_ros.simulation.room import SimulatedRoom


def circle(count=40):
    angles = np.linspace(0, 2 * np.pi, count)
    return np.stack([np.cos(angles), np.sin(angles), 0.1 * angles], axis=1)


def test_the_error_is_measured_at_aligned_poses_with_ground_truth():
    measured = OdometryMeasurements()
    truth = circle()
    turn = cv2.Rodrigues(np.array([0.3, -0.2, 0.5]))[0]
    for number, place in enumerate(truth):
        measured.truth[(number, 0)] = place
        if number >= 5:  # the first poses are not known
            measured.estimated[(number, 0)] = 0.2 * turn @ place + [1, 2, 3]
    measured.estimated[(1000, 0)] = np.zeros(3)  # no true pose of it
    miss, length = measured.error()
    assert miss == pytest.approx(0, abs=1e-9)
    assert length == pytest.approx(np.linalg.norm(np.diff(truth[5:], axis=0), axis=1).sum())
    estimated, true = measured.aligned()
    np.testing.assert_allclose(estimated[:-1], truth[5:], atol=1e-9)
    assert len(true) == 40
    measured.estimated[(20, 0)] += 0.05
    assert 0.01 < measured.error()[0] < 0.1


def test_no_error_is_reported_without_ground_truth():
    measured = OdometryMeasurements(estimated={(n, 0): place for n, place in enumerate(circle())})
    assert measured.error() is None
    estimated, truth = measured.aligned()
    assert len(estimated) == 40
    assert len(truth) == 0


@pytest.mark.parametrize(
    ('size', 'expected'), [((160, 120), (320, 240)), ((640, 130), (640, 240))]
)
def test_the_trajectory_next_to_small_images_does_not_cross_the_legend(tmp_path, size, expected):
    line = {(n, 0): np.array([0.1 * n, 0, 0.001 * n**2]) for n in range(20)}
    measured = OdometryMeasurements(truth=line, estimated=line)
    pixels = bytes([90]) * 3 * size[0] * size[1]
    overlay = SimpleNamespace(width=size[0], height=size[1], data=pixels)
    observer = SimpleNamespace(overlay=overlay, measurements=measured)
    picture = cv2.imread(str(_write_picture(observer, tmp_path / 'picture.png')))
    assert picture.shape == (expected[1], 2 * expected[0], 3)
    assert (picture[: size[1], : expected[0]] == 90).all()
    legend = picture[30:72, expected[0] + 42 : expected[0] + 150]
    # Only the letters, which are gray.
    assert (legend.max(axis=2) == legend.min(axis=2)).all()
    assert legend.min() < 100


def run_demo(*words):
    """Return the completed process of the demo of odometry."""
    command = [sys.executable, '-m', 'superpoint_ros.cli.main', 'demo', '--odometry']
    return subprocess.run(
        [*command, *map(str, words)],
        env={**os.environ, 'ROS_DOMAIN_ID': str(ros_domain(0))},
        capture_output=True,
        text=True,
        timeout=240,
    )


def write_flight(folder, count):
    """Write a flight through the simulated room in the layout of KITTI, at 5 Hz."""
    camera = CameraModel.of_view((320, 240), degrees=70)
    (folder / 'image_0').mkdir(parents=True)
    projection = np.pad(camera.matrix, ((0, 0), (0, 1)))
    (folder / 'calib.txt').write_text('P0: ' + ' '.join(map(str, projection.ravel())))
    (folder / 'times.txt').write_text('\n'.join(str(index / 5) for index in range(count)))
    room = SimulatedRoom(demo_photographs(), camera, rate=15, count=count)
    for index, frame in enumerate(room):
        cv2.imwrite(str(folder / 'image_0' / f'{index:06d}.png'), frame.image)
    return folder


def test_a_recording_that_is_shorter_than_the_demo_is_measured_to_its_end(tmp_path):
    flight = write_flight(tmp_path / 'sequences' / '07', 20)
    done = run_demo(flight, '--seconds', 100, '--output', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    messages = int(re.search(r'tracks +(\d+) messages', done.stdout)[1])
    assert 2 <= messages <= 20
    assert cv2.imread(str(tmp_path / 'out' / 'odometry.jpg')).shape == (240, 640, 3)


def test_the_odometry_demo_refuses_images_without_a_calibration(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'image.png'), np.zeros((48, 64), np.uint8))
    output = tmp_path / 'out'
    command = ['demo', str(tmp_path), '--odometry', '--output', str(output)]
    assert main(command) == 2
    assert f'{tmp_path} has no calibration, which odometry needs' in capsys.readouterr().err
    assert not output.exists()


def test_the_odometry_demo_measures_and_writes_a_picture(tmp_path):
    words = ['--seconds', 4, '--output', tmp_path]
    has_rerun = find_spec('rerun') is not None
    done = run_demo(*words, *['--rerun', tmp_path / 'demo.rrd'] * has_rerun)
    assert done.returncode == 0, done.stderr
    messages, seen = re.search(
        r'tracks +(\d+) messages, .* (\d+) points seen before', done.stdout
    ).groups()
    assert int(messages) >= 2
    assert int(seen) >= 50
    assert re.search(r'odometry +(\d+ poses|no pose in 4 s)', done.stdout)
    picture = cv2.imread(str(tmp_path / 'odometry.jpg'))
    assert picture.shape == (480, 1280, 3)
    named = Path(re.search(r'picture +(.+)', done.stdout).group(1))
    assert named == (tmp_path / 'odometry.jpg').resolve()
    if has_rerun:
        from support.rerun_files import read_recording

        rows = read_recording(tmp_path / 'demo.rrd')
        image = 'demo/world/camera/image'
        assert len(rows[f'{image}/keypoints/SuperPoint']) >= 2
        assert len(rows[f'{image}/tracks/SuperPoint']) >= 2
        assert rows['demo/world/camera'][0]['translation']
        stamps = {row['time'] for row in rows[image] if 'blob' in row}
        assert stamps & {row['time'] for row in rows[f'{image}/keypoints/SuperPoint']}
