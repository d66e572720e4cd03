# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Detector, tracker and visual odometry as processes estimate trajectories in metres."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from support.metric_flight import fly_through_room
from support.node_processes import Program, run_detector
from support.ros import Observer
from support.ros_domain import ros_domain

RUN = ['-m', 'superpoint_ros.ros.run_node']
TOPICS = {
    'stereo': {
        'camera_info': 'camera_info',
        'right_camera_info': 'right/camera_info',
        'image': 'image',
        'right_image': 'right/image',
    },
    'image': {'camera_info': 'camera_info', 'depth': 'depth', 'image': 'image'},
}
ARGUMENTS = {
    'stereo': (
        *('-p', 'cameras:=[left,right]', '-p', 'depth_source:=stereo'),
        *('-r', 'left/image:=image', '-r', 'left/camera_info:=camera_info'),
    ),
    'image': ('-p', 'depth_source:=image'),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize('source', ['stereo', 'image'])
def test_the_nodes_estimate_a_trajectory_in_metres(source):
    domain = ros_domain(20 + (source == 'stereo'))
    features = 'left/features' if source == 'stereo' else 'features'
    programs = [
        run_detector(domain, '-p', 'device:=cpu', '-p', 'pair_wait:=10.0', *ARGUMENTS[source]),
        Program([*RUN, 'tracker', '--ros-args', '-r', f'features:={features}'], domain),
        Program([*RUN, 'visual_odometry', '--ros-args'], domain),
    ]
    observer = Observer(domain)
    try:
        tracks = fly_through_room(observer, TOPICS[source])
        names = [channel.name for channel in tracks.channels]
        assert names[5:7] == ['depth', 'depth_sigma']
        assert names[7:] == ['variance_u', 'covariance_uv', 'variance_v']
        programs[2].wait_for('metric scale')
    finally:
        observer.close()
        for program in programs:
            program.end()
