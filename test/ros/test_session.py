# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Taking part in ROS for a while: what a signal is, and what an error."""

from __future__ import annotations

from importlib.util import find_spec
import os
import subprocess
import sys
import time

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from superpoint_ros.ros.testing.subprocesses import NodeProcess

PROGRAM = """
import os, signal, time
import rclpy
from superpoint_ros.ros.testing.subprocesses import ros_session

try:
    with ros_session():
        node = rclpy.create_node('passer_by')
        {happens}
except BaseException as error:
    print(type(error).__name__, error, rclpy.ok())
"""
SIGNAL = """os.kill(os.getpid(), signal.SIGTERM)
        while rclpy.ok():
            time.sleep(0.01)
        """


@pytest.mark.parametrize(
    ('happens', 'said'),
    [
        (SIGNAL + 'rclpy.spin_once(node, timeout_sec=0.1)', 'KeyboardInterrupt  False'),
        (SIGNAL + 'node.create_timer(1.0, print)', 'KeyboardInterrupt  False'),
        (SIGNAL + 'node.create_subscription(int, "x", print, 1)', 'KeyboardInterrupt  False'),
        ('raise ValueError("a mistake")', 'ValueError a mistake False'),
        ('pass', ''),
    ],
)
def test_an_error_of_rclpy_after_a_signal_is_a_keyboard_interrupt(happens, said):
    command = [sys.executable, '-c', PROGRAM.format(happens=happens)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == said


def test_a_node_that_a_command_starts_imports_nothing_from_the_working_folder(
    tmp_path, monkeypatch
):
    (tmp_path / 'queue.py').write_text('raise ImportError("the queue of the user")')
    (tmp_path / 'superpoint_ros').mkdir()
    (tmp_path / 'superpoint_ros' / '__init__.py').write_text('raise ImportError("a version")')
    monkeypatch.chdir(tmp_path)
    player = NodeProcess('player', '/session', {'source': 'missing.mp4'}, tmp_path)
    player.start()
    end = time.monotonic() + 60

    def watch():
        while time.monotonic() < end:
            player.check()
            time.sleep(0.1)

    with pytest.raises(ValueError, match=r'player cannot start: there is no .*missing\.mp4'):
        watch()


@pytest.mark.parametrize(
    ('command', 'environment', 'said'),
    [
        (['demo', '--seconds', '1'], {'HOME': None}, '(set ROS_LOG_DIR to a folder'),
        (['demo', '--odometry'], {'ROS_LOG_DIR': __file__}, '(set ROS_LOG_DIR to a folder'),
        pytest.param(
            ['soak', '--seconds', '5'],
            {'ROS_DOMAIN_ID': 'one'},
            'ROS_DOMAIN_ID is not an integral',
            marks=pytest.mark.skipif(find_spec('matplotlib') is None, reason='needs matplotlib'),
        ),
    ],
)
def test_a_command_that_cannot_use_ros_says_why_in_one_line(command, environment, said, tmp_path):
    variables = os.environ | {'ROS_LOG_DIR': None} | environment
    ended = subprocess.run(
        [sys.executable, '-m', 'superpoint_ros.cli.main', *command, '--out', tmp_path / 'out'],
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    [line] = [line for line in ended.stderr.splitlines() if 'superpoint' in line]
    assert line.startswith('superpoint: ROS cannot be used: failed to initialize ')
    assert said in line
    assert 'Traceback' not in ended.stderr
