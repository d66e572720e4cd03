# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo: a player and the detector as processes, measured, and drawn; and how it fails."""

from __future__ import annotations

from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.cli.demo import _print_features
from superpoint_ros.cli.main import main
from superpoint_ros.ros.testing.demonstration import Measurements, Observer
from superpoint_ros.ros.testing.subprocesses import ros_session
from support.node_processes import START


def demo(*words, **options):
    command = [sys.executable, '-m', 'superpoint_ros.cli.main', 'demo', *map(str, words)]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def running(folder):
    """Return the command lines of the package's processes that work in the folder."""
    found = []
    for entry in Path('/proc').glob('[0-9]*'):
        try:
            where = (entry / 'cwd').resolve()
            command = (entry / 'cmdline').read_bytes().replace(b'\0', b' ').decode()
        except OSError:
            continue
        if where == folder and 'superpoint_ros' in command:
            found.append(command)
    return found


def test_rate_and_latency_are_those_of_the_arrivals():
    measured = Measurements(
        arrivals=[10.0, 10.1, 10.2, 10.3, 10.4], latencies=[0.01, 0.02, 0.03, 0.04, 0.05]
    )
    assert measured.rate == pytest.approx(10.0)
    assert measured.latency(50) == pytest.approx(0.03)
    assert measured.latency(100) == pytest.approx(0.05)
    assert Measurements(arrivals=[1.0]).rate == 0.0


def test_the_demo_says_how_many_images_the_detector_dropped(capsys):
    measured = Measurements([0.0, 1.0], [0.1, 0.1], keypoints=[7, 8], images=20)
    _print_features(measured, seconds=1.0)
    assert '1.0 per second: 90% of the images are dropped' in capsys.readouterr().out
    measured.images = 2
    _print_features(measured, seconds=1.0)
    assert 'dropped' not in capsys.readouterr().out


def test_a_missing_source_is_named_before_a_node_starts(tmp_path, capsys):
    missing = tmp_path / 'missing.jpg'
    for options in ([], ['--odometry']):
        assert main(['demo', str(missing), *options, '--output', str(tmp_path / 'out')]) == 2
        assert f'superpoint: there is no {missing}: give an image' in capsys.readouterr().err
        assert not (tmp_path / 'out').exists()


def test_the_measurement_begins_when_images_arrive_here_too():
    with ros_session():
        observer = Observer('/alone', seconds=60)
        observer._on_features(PointCloud2())
        assert not observer.measurements.arrivals
        observer._on_image(Image(width=128, height=96))
        observer._on_features(PointCloud2(width=7))
        assert observer.measurements.keypoints == [7]


def test_the_demo_measures_and_writes_a_picture(random_weights, tmp_path):
    photograph = tmp_path / 'photograph.png'
    rng = np.random.default_rng(0)
    cv2.imwrite(str(photograph), rng.integers(0, 256, (96, 128), np.uint8))
    output = tmp_path / 'output'
    process = demo(photograph, '--seconds', 2, '--weights', random_weights, '--output', output)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert 'images      128x96' in out
    messages, rate = re.search(r'features +(\d+) messages, ([\d.]+) per second', out).groups()
    assert int(messages) >= 2
    assert float(rate) > 0
    p50, p99 = map(int, re.search(r'p50 (\d+) ms, p99 (\d+) ms', out).groups())
    assert 0 < p50 <= p99
    named = Path(re.search(r'picture +(.+)', out).group(1))
    assert named == (output / 'keypoints.jpg').resolve()
    height, width = cv2.imread(str(named)).shape[:2]
    assert width >= 3 * 128
    assert height >= 96


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['no/such/video.mp4'], 'there is no no/such/video.mp4'),
        (['--weights', 'no/such/file.safetensors'], 'no/such/file.safetensors'),
        (['--threshold', '7'], 'threshold'),
        (['--seconds', 'x'], "'x' is not a number from 1 to 3600"),
    ],
)
def test_invalid_input_of_the_demo_is_one_line_and_status_2(
    words, message, random_weights, tmp_path
):
    if '--weights' not in words:
        words = [*words, '--weights', str(random_weights)]
    process = demo('--output', tmp_path, *words)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 2, err
    assert message in err.splitlines()[-1]
    assert 'Traceback' not in err
    assert 'picture' not in out


NODES = ('player', 'detector')


@pytest.mark.parametrize(
    ('sent', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_the_demo_leaves_no_process_behind_whatever_signal_ends_it(
    sent, status, random_weights, tmp_path
):
    process = demo(
        '--seconds', 60, '--weights', random_weights, '--output', tmp_path, cwd=tmp_path
    )
    deadline = time.monotonic() + START
    while not all(
        any(f'run_node {name} ' in line for line in running(tmp_path)) for name in NODES
    ):
        assert time.monotonic() < deadline, 'the player and the detector never ran'
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(sent)
    _, err = process.communicate(timeout=START)
    assert process.returncode == status, err
    assert 'Traceback' not in err
    deadline = time.monotonic() + START
    while running(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(tmp_path) == []
