# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Taking part in ROS for a while: what a signal is, and what an error."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

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
