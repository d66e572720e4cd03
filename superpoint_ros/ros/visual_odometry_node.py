# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The visual odometry node: tracks in, the camera's way out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import time

import cv2
from geometry_msgs.msg import PoseStamped, TransformStamped, Vector3
from nav_msgs.msg import Odometry, Path
import numpy as np
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud
from std_msgs.msg import Header

from superpoint_ros.odometry.odometry_settings import OdometrySettings
from superpoint_ros.odometry.visual_odometry import LOST, VisualOdometry
from superpoint_ros.ros.messages.camera_messages import pose_message
from superpoint_ros.ros.messages.track_messages import tracks_from_message
from superpoint_ros.ros.pipeline_node import PipelineNode
from superpoint_ros.settings_table import check_settings, setting

UPRIGHT = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""From a camera's axes (x right, y down, z forward) to those of a robot's world (REP 103)."""

PATH_PERIOD = 0.5
"""Seconds between two messages of the path, which repeat all of it."""


@dataclass(frozen=True)
class OdometryOutput:
    """Settings of the topics besides the odometry."""

    path_length: int = setting(
        2000, 'Maximum number of poses in path; the latest are kept.', range=(0, 100_000)
    )

    def __post_init__(self):
        check_settings(self)


@dataclass(frozen=True)
class OdometryFrames:
    """Settings of the coordinate frames of the poses."""

    odom_frame: str = setting('odom', 'The frame_id of the frame of the poses.', live=False)
    publish_tf: bool = setting(
        True,
        'Publish the transform from odom_frame to the frame of the camera, if tf2_ros is '
        'installed. Turn it off if the frame of the camera already has a parent.',
        live=False,
    )

    def __post_init__(self):
        check_settings(self)


ODOMETRY_GROUPS = (OdometryFrames, OdometrySettings, OdometryOutput)
"""Groups of settings that are parameters of the odometry node, besides `LifecycleSettings`."""


class VisualOdometryNode(PipelineNode):
    """
    Publish the pose of the camera for each message of tracks of which it can be found.

    The pose is that of the camera's optical frame, the header's frame of the tracks, in the frame
    `odom_frame`: x forward, y to the left and z up as the camera stood at the first keyframe.
    """

    def __init__(self, **options):
        super().__init__(
            'visual_odometry', ODOMETRY_GROUPS, PointCloud, 'tracks', 'odometry', **options
        )
        self._frames = self.parameters.of(OdometryFrames)
        self._odometry: VisualOdometry | None = None
        self._broadcaster = self._publisher = self._path_publisher = None
        self._path: deque[PoseStamped] = deque()
        self._last: tuple[float, np.ndarray] | None = None
        self._path_time = 0.0
        self.begin()

    def offer(self) -> str:
        """Return the topic of the odometry, after making the publishers and forgetting all."""
        self._odometry = self._last = None
        self._path.clear()
        self._publisher, self._path_publisher = (
            self.create_publisher(
                kind, topic, QoSProfile(depth=depth), qos_overriding_options=self.overridable
            )
            for kind, topic, depth in ((Odometry, 'odometry', 10), (Path, 'path', 1))
        )
        if self._frames.publish_tf:
            self._broadcaster = self._make_broadcaster()
        return self._publisher.topic_name

    def _make_broadcaster(self):
        """Return what publishes transforms, None without tf2_ros."""
        try:
            from tf2_ros import TransformBroadcaster
        except ImportError:
            self.get_logger().info('no transforms are published: tf2_ros is not installed')
            return None
        return TransformBroadcaster(self)

    def withdraw(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._publisher, self._path_publisher):
            if publisher is not None:
                self.destroy_publisher(publisher)
        self._publisher = self._path_publisher = self._broadcaster = None

    def process(self, message: PointCloud) -> int:
        """Return how many points agree with the pose that was published, 0 where none was."""
        model = self.calibration.model
        if model is None:
            return 0
        tracks = tracks_from_message(message)
        if self._odometry is None or self._odometry.camera_model is not model:
            self._odometry = VisualOdometry(model)
            self._last = None
        odometry, before = self._odometry, self._odometry.status
        odometry.settings = self.parameters.of(OdometrySettings)
        stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        pose = odometry.update(tracks, stamp)
        if odometry.status != before:
            self._tell(odometry)
        if pose is None:
            self._last = None
            return 0
        self._publish(UPRIGHT @ pose, stamp, message.header)
        return odometry.inliers

    def _tell(self, odometry: VisualOdometry) -> None:
        """Log that the status has changed."""
        text = f'{odometry.status}: {odometry.inliers} points agree, {odometry.restarts} restarts'
        if odometry.status == LOST:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)

    def _publish(self, pose: np.ndarray, stamp: float, header: Header) -> None:
        """Publish a pose as odometry, on the path, and as a transform."""
        stamped = pose_message(pose, Header(stamp=header.stamp, frame_id=self._frames.odom_frame))
        message = Odometry(header=stamped.header, child_frame_id=header.frame_id)
        message.pose.pose = stamped.pose
        if self._last is not None and stamp > self._last[0]:
            motion = np.linalg.inv(self._last[1]) @ pose
            elapsed = stamp - self._last[0]
            # In the camera's present frame, as the message has it.
            linear = motion[:3, :3].T @ motion[:3, 3] / elapsed
            angular = cv2.Rodrigues(motion[:3, :3])[0].ravel() / elapsed
            message.twist.twist.linear = _vector(linear)
            message.twist.twist.angular = _vector(angular)
        self._last = (stamp, pose)
        self._publisher.publish(message)
        self._publish_path(stamped)
        if self._broadcaster is not None:
            transform = TransformStamped(header=stamped.header, child_frame_id=header.frame_id)
            transform.transform.translation = _vector(pose[:3, 3])
            transform.transform.rotation = stamped.pose.orientation
            self._broadcaster.sendTransform(transform)

    def _publish_path(self, stamped: PoseStamped) -> None:
        """Add a pose to the path, and publish it now and then, if somebody listens."""
        self._path.append(stamped)
        while len(self._path) > self.parameters.of(OdometryOutput).path_length:
            self._path.popleft()
        now = time.monotonic()
        if now - self._path_time >= PATH_PERIOD and self._path_publisher.get_subscription_count():
            self._path_time = now
            self._path_publisher.publish(Path(header=stamped.header, poses=list(self._path)))

    def details(self) -> tuple[str, dict[str, object]]:
        """Return what is amiss, and values for the diagnostics."""
        odometry = self._odometry
        if odometry is None:
            return self.calibration.trouble, {'status': 'no calibration'}
        trouble = self.calibration.trouble
        if not trouble and odometry.status == LOST:
            trouble = 'lost: too few points agree with any pose; the scale may change'
        return trouble, {
            'status': odometry.status,
            'points that agree': odometry.inliers,
            'points in the map': len(odometry.points),
            'restarts': odometry.restarts,
        }


def _vector(values: np.ndarray) -> Vector3:
    x, y, z = (float(value) for value in values)
    return Vector3(x=x, y=y, z=z)
