# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Nodes choose a profile of Fast DDS that has room for features, unless another was chosen."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys

import pytest

from superpoint_ros.ros.process_environment import choose_dds_profile
from support.ros_domain import ros_domain

ROUND_TRIP = """
import os
import rclpy
from sensor_msgs.msg import PointCloud2
from superpoint_ros.ros.process_environment import choose_dds_profile

choose_dds_profile(os.environ)
rclpy.init()
node = rclpy.create_node('room')
got = []
node.create_subscription(PointCloud2, 'large', got.append, 10)
publisher = node.create_publisher(PointCloud2, 'large', 10)
for _ in range(100):
    publisher.publish(PointCloud2(data=bytes(3_000_000)))
    rclpy.spin_once(node, timeout_sec=0.2)
    if got:
        break
print(len(got[0].data) if got else 'nothing came')
"""


def test_the_dds_profile_of_the_package_is_chosen_by_default():
    environment = {}
    choose_dds_profile(environment)
    assert {Path(value).name for value in environment.values()} == {'fastdds_features.xml'}
    assert all(Path(value).is_file() for value in environment.values())


@pytest.mark.parametrize(
    ('distribution', 'names'),
    [
        ('jazzy', {'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'}),
        ('kilted', {'FASTDDS_DEFAULT_PROFILES_FILE'}),
        ('rolling', {'FASTDDS_DEFAULT_PROFILES_FILE'}),
    ],
)
def test_the_variable_that_fast_dds_3_warns_about_is_set_for_fast_dds_2_only(distribution, names):
    environment = {'ROS_DISTRO': distribution}
    choose_dds_profile(environment)
    assert environment.keys() == {'ROS_DISTRO', *names}


@pytest.mark.parametrize(
    'name',
    [
        'FASTRTPS_DEFAULT_PROFILES_FILE',
        'FASTDDS_DEFAULT_PROFILES_FILE',
        'FASTDDS_BUILTIN_TRANSPORTS',
    ],
)
def test_a_dds_profile_chosen_by_the_user_is_kept(name):
    environment = {name: 'mine'}
    choose_dds_profile(environment)
    assert environment == {name: 'mine'}


def test_a_dds_profile_in_the_working_directory_is_kept(tmp_path, monkeypatch):
    (tmp_path / 'DEFAULT_FASTRTPS_PROFILES.xml').touch()
    monkeypatch.chdir(tmp_path)
    environment = {}
    choose_dds_profile(environment)
    assert environment == {}


def test_fast_dds_reads_the_profile_and_large_messages_come(monkeypatch):
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    monkeypatch.setenv('ROS_DOMAIN_ID', str(ros_domain(2)))
    done = subprocess.run(
        [sys.executable, '-c', ROUND_TRIP], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == '3000000', done.stderr
    assert 'XMLPARSER' not in done.stderr + done.stdout
