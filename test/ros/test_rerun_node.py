# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What nodes publish is shown in Rerun: `superpoint rerun`."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('rerun', reason='rerun-sdk is not installed')

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from superpoint_ros.cli.main import main
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.integrations.rerun_recording import RerunRecording
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.ros.messages.camera_messages import camera_info_message
from superpoint_ros.ros.messages.feature_messages import features_to_message
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.messages.point_clouds import positions_message
from superpoint_ros.ros.messages.track_messages import tracks_to_message
from superpoint_ros.ros.rerun_node import RerunNode
from support.node_processes import Program, START
from support.noise_pictures import noise_picture
from support.rerun_files import read_recording
from support.ros import Observer, PATIENCE
from support.ros_domain import ros_domain

DOMAIN = ros_domain(7)


@pytest.fixture
def graph():
    made = Observer(DOMAIN)
    yield made
    made.close()


@pytest.fixture
def watched(graph, tmp_path):
    """A node that logs topics of /rig to a file, and a function that reads the file."""
    path = tmp_path / 'rig.rrd'
    with ExitStack() as stack:
        recording = stack.enter_context(RerunRecording(path))
        words = ['--ros-args', '-r', 'image:=/rig/camera/image_raw']
        options = {'namespace': '/rig', 'cli_args': words, 'context': graph.context}
        node = RerunNode(recording.scene('rig'), **options)
        graph.executor.add_node(node)

        def read():
            node.log_trajectories()
            stack.close()
            return read_recording(path)

        yield node, read
        node.destroy_node()


def test_everything_that_is_published_is_logged_at_its_stamp(graph, watched):
    node, read = watched
    camera = CameraModel.of_view((160, 120))
    features = Features([[3, 4], [5, 6]], [0.9, 0.1], np.eye(2))
    graph.publish(camera_info_message(camera, Header()), '/rig/camera_info', 1000)
    graph.wait_until(lambda: node.counts.get('camera_info'))
    for step in range(12):
        stamp = 1000 + 100 * step
        if step < 2:
            graph.publish(image_message(noise_picture(0)), '/rig/camera/image_raw', stamp)
            graph.publish(features_to_message(features, Header()), '/rig/features', stamp)
            tracks = Tracks.new([1, 2 + step], [[3 + step, 4], [5, 6]])
            message = tracks_to_message(tracks, Header(), tracks.keypoints, tracks.velocities)
            graph.publish(message, '/rig/tracks', stamp)
        truth, estimate = PoseStamped(), Odometry()
        truth.pose.position.x, truth.pose.position.y = float(step), float(step % 3)
        estimate.pose.pose.position.x = 0.5 * step
        estimate.pose.pose.position.y = 0.5 * (step % 3)
        graph.publish(truth, '/rig/ground_truth/pose', stamp)
        graph.publish(estimate, '/rig/odometry', stamp)
        poses = dict.fromkeys(('odometry', 'ground_truth/pose'), step + 1)
        graph.wait_until(lambda poses=poses: poses.items() <= node.counts.items())
    expected = {'image': 2, 'features': 2, 'tracks': 2, 'odometry': 12, 'ground_truth/pose': 12}
    graph.wait_until(lambda: expected.items() <= node.counts.items())
    graph.publish(positions_message(np.array([[1, 2, 3], [0, 0, 1]]), Header()), '/rig/map', 2200)
    graph.wait_until(lambda: node.counts.get('map'))
    rows = read()
    (points,) = rows['rig/world/SuperPoint/map']
    np.testing.assert_allclose(points['positions'], [[2, 4, 6], [0, 0, 2]], atol=1e-5)  # aligned
    image = 'rig/world/camera/image'
    points = rows[f'{image}/keypoints/SuperPoint']
    assert [row['time'].total_seconds() for row in points] == [1.0, 1.1]
    np.testing.assert_array_equal(points[0]['positions'], features.keypoints + 0.5)
    assert len([row for row in rows[image] if 'blob' in row]) == 2
    first, second = rows[f'{image}/motion/SuperPoint']
    assert first['strips'] == []
    # Track 1 has moved by a pixel, track 3 is new.
    np.testing.assert_array_equal(second['strips'], [[[3.5, 4.5], [4.5, 4.5]]])
    poses = [row for row in rows['rig/world/camera'] if 'translation' in row]
    # Before the first true pose, the estimated one is logged.
    assert [row['translation'] for row in poses[-12:]] == [[[n, n % 3, 0]] for n in range(12)]
    # The estimate has half the scale; with ground truth it is aligned.
    ours = rows['rig/world/SuperPoint/trajectory'][-1]['strips'][0]
    truth = rows['rig/world/truth/trajectory'][-1]['strips'][0]
    np.testing.assert_allclose(ours, truth, atol=1e-5)


def test_a_message_that_cannot_be_read_does_not_end_the_node(graph, watched):
    node, read = watched
    for stamp in (1000, 2000):
        graph.publish(PointCloud2(), '/rig/features', stamp)
    features = Features([[3, 4]], [0.9], np.ones((1, 1)))
    graph.publish(features_to_message(features, Header()), '/rig/features', 3000)
    graph.wait_until(lambda: node.counts.get('features'))
    assert len(read()['rig/world/camera/image/keypoints/SuperPoint']) == 1


def test_the_command_records_until_it_is_interrupted(graph, tmp_path):
    command = ['-m', 'superpoint_ros.cli.main', 'rerun', str(tmp_path / 'a.rrd')]
    command += ['--namespace', '/left', '--remap', 'features:=/left/points']
    program = Program(command, DOMAIN)
    try:
        publisher = graph.observer.create_publisher(PointCloud2, '/left/points', 10)
        graph.wait_until(publisher.get_subscription_count, START)
        features = Features([[3, 4]], [0.9], np.ones((1, 1)))
        publisher.publish(features_to_message(features, Header()))
        poses = graph.observer.create_publisher(Odometry, '/left/odometry', 10)
        graph.wait_until(poses.get_subscription_count)
        for step in range(3):  # faster than trajectories are logged
            estimate = Odometry()
            estimate.header.stamp.sec = step
            estimate.pose.pose.position.x = float(step)
            poses.publish(estimate)
        for each in (publisher, poses):
            assert each.wait_for_all_acked(Duration(seconds=PATIENCE))
        graph.rest(2.0)  # until the executor has handled it
        program.interrupt()
        program.finish()
    finally:
        program.end()
    assert program.output.endswith('a.rrd: features 1, odometry 3\n')
    rows = read_recording(tmp_path / 'a.rrd')
    [row] = rows['camera/world/camera/image/keypoints/SuperPoint']
    assert row['positions'] == [[3.5, 4.5]]
    trajectory = rows['camera/world/SuperPoint/trajectory'][-1]['strips']
    assert trajectory == [[[0, 0, 0], [1, 0, 0], [2, 0, 0]]]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--namespace', '/a//b'], "must not contain repeated '/'"),
        (['--remap', 'image:=/a//b'], "Couldn't parse remap rule: '-r image:=/a//b'"),
        (['--remap', 'image'], "'image' is not TOPIC:=NAME"),
    ],
)
def test_topics_that_ros_does_not_accept_are_named(options, message, tmp_path, capsys, recwarn):
    try:
        status = main(['rerun', str(tmp_path / 'a.rrd'), *options])
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert [each for each in recwarn if each.category is RuntimeWarning] == []


def test_rerun_that_receives_nothing_keeps_the_previous_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(DOMAIN))
    (tmp_path / 'a.rrd').write_bytes(b'old')
    assert main(['rerun', f'{tmp_path}/a.rrd', '--namespace', '/nobody', '--seconds', '1']) == 1
    assert 'a.rrd: not written, as nothing was received: name the' in capsys.readouterr().out
    assert (tmp_path / 'a.rrd').read_bytes() == b'old'
    assert len(list(tmp_path.iterdir())) == 1
