# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The visual odometry node: tracks in, poses out, in the axes and messages of ROS."""

from __future__ import annotations

import sys
import threading
import types

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Quaternion, TransformStamped
from nav_msgs.msg import Odometry, Path
from rcl_interfaces.msg import Log
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header

from superpoint_ros.geometry.poses import OPTICAL_TO_BODY
from superpoint_ros.geometry.trajectory_alignment import position_errors
from superpoint_ros.odometry.local_map import LocalMap
from superpoint_ros.odometry.pose_uncertainty import rotate_covariance, unknown_covariance
from superpoint_ros.ros import visual_odometry_node
from superpoint_ros.ros.diagnostics import status_values
from superpoint_ros.ros.messages.point_clouds import positions_from_message
from superpoint_ros.ros.messages.track_messages import tracks_to_message
from superpoint_ros.ros.visual_odometry_node import VisualOdometryNode


def straight_ahead(count):
    """Return poses of a camera that goes forward and a little to its right."""
    poses = np.repeat(np.eye(4)[None], count, axis=0)
    poses[:, 2, 3] = np.linspace(0, 2, count)
    poses[:, 0, 3] = np.linspace(0, 1, count)
    return poses


def play(graph, flight, changed_at=None, frame_id='camera_optical', calls=None):
    """
    Publish a flight's calibration and tracks, as the tracker does.

    The calibration changes a little at the frame `changed_at`. `frame_id` is that of the tracks.
    `calls` are functions, by the number of the frame before which they are called.
    """
    model = flight.camera_model
    info = CameraInfo(width=640, height=480, distortion_model='plumb_bob', k=model.matrix.ravel())
    node = graph.tested[0]
    graph.publish(info, 'camera_info')
    graph.wait_until(lambda: node.calibration.model() is not None)
    for number, tracks in enumerate(flight.tracks):
        if calls and number in calls:
            calls[number]()
        if number == changed_at:
            info.d = [1e-9, 0.0, 0.0, 0.0, 0.0]
            graph.publish(info, 'camera_info')
            graph.wait_until(lambda: node.calibration.model().coefficients[0] > 0)
        milliseconds = 50 * number
        stamp = Time(sec=100 + milliseconds // 1000, nanosec=milliseconds % 1000 * 1_000_000)
        points = model.normalize(tracks.keypoints)
        header = Header(stamp=stamp, frame_id=frame_id)
        message = tracks_to_message(tracks, header, points, tracks.velocities)
        before = node.inputs[0].statistics.summary(0).received
        graph.publish(message, 'tracks')
        graph.wait_until(lambda b=before: node.inputs[0].statistics.summary(0).received > b)


def frame_of(message):
    """Return the number of the frame whose stamp a message has."""
    stamp = message.header.stamp
    return (stamp.sec - 100) * 20 + stamp.nanosec // 50_000_000


def has_frame(messages, number):
    """Return whether a message has the stamp of a frame."""
    return number in map(frame_of, messages)


def places(messages):
    points = [message.pose.pose.position for message in messages]
    return np.array([[p.x, p.y, p.z] for p in points])


def test_poses_use_the_axes_of_rep_103(graph, make_flight):
    graph.add(VisualOdometryNode)
    odometry = graph.listen(Odometry, 'odometry')
    flight = make_flight(poses=straight_ahead(40), noise=0.3)
    play(graph, flight)
    graph.wait_until(lambda: has_frame(odometry, 39))
    assert len(odometry) > 20
    found = places(odometry)
    true = flight.poses[[frame_of(message) for message in odometry]][:, :3, 3]
    assert position_errors(found, true).max() < 0.05
    # Two to the front for one to the right: x is the front, and the right is minus y.
    direction = found[-1] / np.linalg.norm(found[-1])
    np.testing.assert_allclose(direction, np.array([2, -1, 0]) / np.sqrt(5), atol=0.05)
    last = odometry[-1]
    assert last.header.frame_id == 'odom'
    assert last.child_frame_id == 'camera_optical'
    # The camera looks along x, its x is minus y, its y is minus z.
    q = last.pose.pose.orientation
    np.testing.assert_allclose(np.abs([q.x, q.y, q.z, q.w]), [0.5] * 4, atol=0.02)
    # The speed is given in the camera's frame: forward is z.
    speed = np.linalg.norm(found[-1] - found[-2]) / 0.05
    linear = last.twist.twist.linear
    assert linear.z == pytest.approx(speed * 2 / np.sqrt(5), rel=0.2)
    assert linear.x == pytest.approx(speed / np.sqrt(5), rel=0.4)


def covariance_of(message):
    """Return the covariances of a pose or a twist and its axes: (6, 6)."""
    return np.reshape(message.covariance, (6, 6))


def test_poses_and_velocities_have_covariances_in_their_axes(graph, make_flight):
    node = graph.add(VisualOdometryNode)
    odometry = graph.listen(Odometry, 'odometry')
    play(graph, make_flight(poses=straight_ahead(40), noise=0.3))
    graph.wait_until(lambda: has_frame(odometry, 39))
    for message in odometry:
        for part in (message.pose, message.twist):
            assert np.linalg.eigvalsh(covariance_of(part)).min() > 0
    # Before there are two poses, the velocity is unknown.
    np.testing.assert_array_equal(covariance_of(odometry[0].twist), unknown_covariance())
    last = odometry[-1]
    # The camera looks along the x of the odometry; it moves 20 times in a second.
    camera = OPTICAL_TO_BODY[:3, :3].T
    here = rotate_covariance(covariance_of(last.pose), camera)
    np.testing.assert_allclose(here, node._odometry.uncertainty.covariance, rtol=1e-9)
    noise = rotate_covariance(node._odometry.uncertainty.noise, np.eye(3))
    sigmas, expected = (
        np.sqrt(np.diag(each)) for each in (covariance_of(last.twist), noise * 2 / 0.05**2)
    )
    np.testing.assert_allclose(sigmas, expected, rtol=0.3)
    drift = [np.trace(covariance_of(message.pose)[:3, :3]) for message in odometry]
    assert drift[-1] > 3 * drift[0]


def test_no_velocity_is_given_across_two_maps(graph, make_flight):
    graph.add(VisualOdometryNode)
    odometry = graph.listen(Odometry, 'odometry')
    flight = make_flight(poses=straight_ahead(40), noise=0.3, depth_error=0.005)
    play(graph, flight, changed_at=20)
    graph.wait_until(lambda: has_frame(odometry, 39))
    unknown = {
        frame_of(message)
        for message in odometry
        if (covariance_of(message.twist) == unknown_covariance()).all()
    }
    assert unknown == {0, 20}
    # How the camera moved to the frame in which the second map starts is unknown.
    before, after = (covariance_of(odometry[number].pose) for number in (19, 20))
    motion = np.linalg.norm([2, 1]) / 39
    grown = np.sqrt(np.diag(after - before)[:3])
    np.testing.assert_allclose(grown, motion, rtol=0.3)


def test_the_trajectory_goes_on_at_the_last_pose_if_the_calibration_changes(
    graph, make_flight, capfd
):
    node = graph.add(VisualOdometryNode)
    odometry = graph.listen(Odometry, 'odometry')
    poses = straight_ahead(60)
    poses[:, :3, 3] *= 1.5
    play(graph, make_flight(poses=poses), changed_at=30)
    graph.wait_until(lambda: has_frame(odometry, 59))
    assert node._odometry.restarts == 1
    frames, ahead = np.array([*map(frame_of, odometry)]), places(odometry)[:, 0]
    before, after = ahead[frames < 30], ahead[frames >= 30]
    assert before[-1] > 1.2
    assert before[-1] < after[0] < after[-1]
    assert capfd.readouterr().err.count('calibration on /camera_info has changed') == 1


def test_keyframes_are_refined_in_a_thread_that_ends_with_the_node(
    graph, make_flight, monkeypatch
):
    refine, threads = LocalMap.refine, []

    def record(self):
        refine(self)
        threads.append(threading.current_thread())

    monkeypatch.setattr(LocalMap, 'refine', record)
    node = graph.add(VisualOdometryNode)
    odometry = graph.listen(Odometry, 'odometry')
    play(graph, make_flight(poses=straight_ahead(30)))
    graph.wait_until(lambda: len(odometry) > 10 and threads)
    assert len(set(threads)) == 1
    assert threads[0] is not threading.main_thread()
    assert not threads[0].daemon
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert threads[0].is_alive()  # the node can be activated again
    assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    assert not threads[0].is_alive()


def test_a_failed_refinement_is_logged_and_costs_no_pose(graph, make_flight, monkeypatch):
    def fail(self):
        raise FloatingPointError('a singular system')

    monkeypatch.setattr(LocalMap, 'refine', fail)
    graph.add(VisualOdometryNode)
    odometry = graph.listen(Odometry, 'odometry')
    logged = graph.listen(Log, '/rosout')
    play(graph, make_flight(poses=straight_ahead(30)))
    expected = 'the refinement of keyframes failed: FloatingPointError: a singular system'
    graph.wait_until(
        lambda: len(odometry) > 15 and expected in [message.msg for message in logged]
    )
    assert set(np.diff([frame_of(message) for message in odometry])) == {1}


@pytest.fixture
def _path_with_each_pose(monkeypatch):
    """Let nodes publish path and map with each pose."""
    monkeypatch.setattr(visual_odometry_node, 'PATH_PERIOD', 0.0)


@pytest.mark.usefixtures('_path_with_each_pose')
def test_the_path_has_the_last_poses(graph, make_flight):
    graph.add(VisualOdometryNode, path_length=5)
    paths = graph.listen(Path, 'path')
    odometry = graph.listen(Odometry, 'odometry')
    play(graph, make_flight(poses=straight_ahead(30)))
    graph.wait_until(lambda: all(has_frame(messages, 29) for messages in (paths, odometry)))
    assert paths[-1].header.frame_id == 'odom'
    published = [(message.header, message.pose.pose) for message in odometry]
    assert [(pose.header, pose.pose) for pose in paths[-1].poses] == published[-5:]


@pytest.mark.usefixtures('_path_with_each_pose')
def test_the_map_has_the_points_that_are_seen(graph, make_flight):
    graph.add(VisualOdometryNode)
    maps = graph.listen(PointCloud2, 'map')
    play(graph, make_flight(poses=straight_ahead(30)))
    graph.wait_until(lambda: has_frame(maps, 29))
    points = positions_from_message(maps[-1])
    assert maps[-1].header.frame_id == 'odom'
    assert len(points) > 50
    assert (points[:, 0] > 0).mean() > 0.95  # x is the front


def test_lost_tracking_is_reported_in_the_diagnostics(graph, make_flight):
    graph.add(VisualOdometryNode, max_lost_frames=3)
    statuses = graph.listen(DiagnosticArray, '/diagnostics')
    flight = make_flight(poses=straight_ahead(30))
    flight.tracks += [one.select(np.array([], int)) for one in flight.tracks[:5]]
    play(graph, flight)

    def lost():
        every = [status for message in statuses for status in message.status]
        return [status for status in every if status.message.startswith('lost: too few points')]

    graph.wait_until(lost)
    values = status_values(lost()[-1])
    assert values['status'] == 'lost'
    assert values['restarts'] == '0'  # until points for another map are in view
    assert lost()[-1].level == b'\x01'


def test_the_log_says_why_a_new_map_starts(graph, make_flight, capfd):
    graph.add(VisualOdometryNode)
    flight = make_flight(poses=straight_ahead(30))
    for _ in range(2):  # as a bag that is played in a loop
        play(graph, flight)
    lines = [line for line in capfd.readouterr().err.splitlines() if 'new map' in line]
    assert len(lines) == 1
    reason = 'a new map starts at the last pose: the stamps went back by 1.450 s'
    assert lines[0].endswith(f'1 restart, arbitrary scale; {reason}')


def test_settings_change_while_it_runs_and_bad_ones_are_refused(graph):
    node = graph.add(VisualOdometryNode)
    result = node.set_parameters([Parameter('window', value=51)])[0]
    assert not result.successful
    assert node.set_parameters([Parameter('window', value=3)])[0].successful
    result = node.set_parameters([Parameter('odom_frame', value='map')])[0]
    assert not result.successful


@pytest.fixture
def transforms(monkeypatch):
    """Return the list of transforms that nodes publish, without tf2_ros."""
    sent = []

    class Broadcaster:
        """Stands for tf2_ros.TransformBroadcaster."""

        def __init__(self, node):
            self.pub_tf = node.create_publisher(TransformStamped, '/tf', 100)

        def sendTransform(self, transform):  # noqa: N802
            sent.append(transform)

    module, messages = types.ModuleType('tf2_ros'), types.ModuleType('tf2_msgs.msg')
    module.TransformBroadcaster = Broadcaster
    # One transform stands for a tf2_msgs.msg.TFMessage, which has a list of them.
    messages.TFMessage = TransformStamped
    monkeypatch.setattr(
        TransformStamped, 'transforms', property(lambda self: [self]), raising=False
    )
    monkeypatch.setitem(sys.modules, 'tf2_ros', module)
    monkeypatch.setitem(sys.modules, 'tf2_msgs', types.ModuleType('tf2_msgs'))
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', messages)
    return sent


def test_transforms_are_published_if_tf2_is_installed(graph, make_flight, transforms):
    node = graph.add(VisualOdometryNode, odom_frame='world')
    odometry = graph.listen(Odometry, 'odometry')
    play(graph, make_flight(poses=straight_ahead(20)))
    graph.wait_until(lambda: odometry and len(odometry) == len(transforms))
    last, pose = transforms[-1], odometry[-1].pose.pose
    assert (last.header.frame_id, last.child_frame_id) == ('world', 'camera_optical')
    assert last.transform.translation.x == pose.position.x
    assert last.transform.rotation == pose.orientation
    graph.wait_until(lambda: graph.observer.count_publishers('/tf') == 1)
    node.trigger_deactivate()
    node.trigger_cleanup()
    graph.wait_until(lambda: graph.observer.count_publishers('/tf') == 0)
    graph.add(VisualOdometryNode, publish_tf=False)
    assert graph.tested[1]._transforms is None


def test_a_transform_is_sent_before_the_odometry_that_it_belongs_to(
    graph, make_flight, transforms, monkeypatch
):
    node = graph.add(VisualOdometryNode)
    publisher, sent_before = node._odometry_publisher, []
    publish = publisher.publish

    def note_transforms(message):
        sent_before.append(transforms[-1].header == message.header if transforms else False)
        publish(message)

    monkeypatch.setattr(publisher, 'publish', note_transforms)
    odometry = graph.listen(Odometry, 'odometry')
    play(graph, make_flight(poses=straight_ahead(20)))
    graph.wait_until(lambda: has_frame(odometry, 19))
    assert len(sent_before) > 5
    assert all(sent_before)


@pytest.mark.parametrize('frame_id', ['', 'odom', '/odom'])
def test_transforms_that_tf2_would_refuse_are_not_published(
    graph, make_flight, transforms, frame_id
):
    node = graph.add(VisualOdometryNode)
    odometry, log = graph.listen(Odometry, 'odometry'), graph.listen(Log, '/rosout')
    play(graph, make_flight(poses=straight_ahead(20)), frame_id=frame_id)
    graph.wait_until(lambda: has_frame(odometry, 19))
    assert transforms == []
    said = f'no transforms are published: the frame_id of the images is {frame_id!r}; set header'
    graph.wait_until(lambda: sum(said in entry.msg for entry in log) == 1)
    assert node._transforms is not None


@pytest.mark.parametrize(('child', 'has_parent'), [('/camera_optical', True), ('lidar', False)])
def test_no_transforms_are_published_to_a_camera_that_is_mounted_on_a_robot(
    graph, make_flight, transforms, child, has_parent
):
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    static = graph.observer.create_publisher(TransformStamped, '/tf_static', latched)
    static.publish(TransformStamped(header=Header(frame_id='base_link'), child_frame_id=child))
    node = graph.add(VisualOdometryNode)
    graph.wait_until(lambda: node._transforms._mounts)
    odometry, log = graph.listen(Odometry, 'odometry'), graph.listen(Log, '/rosout')
    play(graph, make_flight(poses=straight_ahead(20)))
    graph.wait_until(lambda: has_frame(odometry, 19))
    assert (transforms == []) == has_parent
    if has_parent:
        said = 'no transforms are published: the frame camera_optical of the camera has the parent'
        graph.wait_until(lambda: any(f'{said} base_link' in entry.msg for entry in log))


def mount_camera(graph, *more):
    """Publish a camera that looks ahead, 0.2 m in front of base_link and 0.3 m above it."""
    latched = QoSProfile(depth=10, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    static = graph.observer.create_publisher(TransformStamped, '/tf_static', latched)
    mast = TransformStamped(header=Header(frame_id='base_link'), child_frame_id='mast')
    mast.transform.translation.z = 0.3
    optical = TransformStamped(header=Header(frame_id='/mast'), child_frame_id='camera_optical')
    optical.transform.translation.x = 0.2
    optical.transform.rotation = Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
    for each in (*more, mast, optical):
        static.publish(each)


def test_poses_and_transforms_of_a_robot_begin_where_its_base_stood(
    graph, make_flight, transforms
):
    broken = TransformStamped(header=Header(frame_id='base_link'), child_frame_id='arm')
    broken.transform.rotation.w = 0.0
    circle = TransformStamped(header=Header(frame_id='lidar'), child_frame_id='lidar')
    node = graph.add(VisualOdometryNode, base_frame='/base_link')
    odometry, log = graph.listen(Odometry, 'odometry'), graph.listen(Log, '/rosout')

    def mount():
        graph.wait_until(lambda: 'has no transforms from /base_link' in node._trouble())
        assert odometry == []
        mount_camera(graph, broken, circle)
        graph.wait_until(lambda: len(node._transforms._mounts) == 3)
        graph.wait_until(lambda: any('[0.0, 0.0, 0.0, 0.0] are not a' in e.msg for e in log))

    play(graph, make_flight(poses=straight_ahead(30), depth_error=0.005), calls={20: mount})
    graph.wait_until(lambda: has_frame(odometry, 29) and len(odometry) == len(transforms))
    assert node._trouble() == ''
    assert odometry[-1].child_frame_id == 'camera_optical'
    np.testing.assert_allclose(places(odometry[-1:]), [[2.2, -1, 0.3]], atol=0.05)
    last = transforms[-1]
    assert (last.header.frame_id, last.child_frame_id) == ('odom', 'base_link')
    place = last.transform.translation
    np.testing.assert_allclose([place.x, place.y, place.z], [2, -1, 0], atol=0.05)
    assert abs(last.transform.rotation.w) == pytest.approx(1, abs=1e-3)


def test_no_transforms_are_published_to_a_base_that_has_a_parent(graph, make_flight, transforms):
    footprint = TransformStamped(header=Header(frame_id='footprint'), child_frame_id='base_link')
    mount_camera(graph, footprint)
    node = graph.add(VisualOdometryNode, base_frame='base_link')
    graph.wait_until(lambda: len(node._transforms._mounts) == 3)
    odometry, log = graph.listen(Odometry, 'odometry'), graph.listen(Log, '/rosout')
    play(graph, make_flight(poses=straight_ahead(20)))
    graph.wait_until(lambda: has_frame(odometry, 19))
    assert transforms == []
    said = 'base_link (base_frame) has the parent footprint on /tf_static: choose footprint'
    graph.wait_until(lambda: any(said in entry.msg for entry in log))


@pytest.mark.parametrize('name', ['/', 'odom', '/odom'])
def test_the_base_must_be_a_frame_of_the_robot(graph, name):
    with pytest.raises(ValueError, match='base_frame must be a frame of the robot'):
        graph.add(VisualOdometryNode, base_frame=name)


@pytest.mark.parametrize('name', ['', '/'])
def test_the_frame_of_the_poses_needs_a_name(graph, name):
    with pytest.raises(ValueError, match=f"odom_frame must be the name of a frame, got '{name}'"):
        graph.add(VisualOdometryNode, odom_frame=name)
