# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A node that passes images, features, tracks and poses to a scene of a Rerun recording."""

from __future__ import annotations

from dataclasses import replace
import time

from geometry_msgs.msg import Pose, PoseStamped
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud, PointCloud2

from superpoint_ros.data.sequences.bags import seconds_of
from superpoint_ros.geometry.camera_model import CameraModel, is_calibrated
from superpoint_ros.geometry.poses import pose_matrix
from superpoint_ros.geometry.trajectory_alignment import StampedTrajectories
from superpoint_ros.integrations.rerun_recording import METHOD, RerunScene, TRUTH
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.ros.messages.feature_messages import features_from_message
from superpoint_ros.ros.messages.image_messages import gray_from_image, stamp_key
from superpoint_ros.ros.messages.point_clouds import positions_from_message
from superpoint_ros.ros.messages.track_messages import tracks_from_message

_TRAJECTORY_PERIOD = 0.5
"""Seconds between two logs of the trajectories: each repeats them as a whole."""

_QUEUE = QoSProfile(depth=10)


class RerunNode(Node):
    """
    Log what is received on some topics.

    They are image, camera_info, features, tracks, odometry, map and ground_truth/pose.

    Topics without a publisher are simply absent. With ground truth, the trajectory is aligned to
    it, and the camera is shown at its true pose. A message that cannot be read is named in the
    log, each problem once. `counts` are the numbers of messages that were logged, by topic.
    `options` are those of `rclpy.node.Node`.
    """

    def __init__(self, scene: RerunScene, **options):
        super().__init__('rerun', **options)
        self.scene = scene
        self.counts: dict[str, int] = {}
        self._camera: CameraModel | None = None
        self._positions = StampedTrajectories()
        self._last_tracks: Tracks | None = None
        self._trajectory_time = 0.0
        self._problems: set[str] = set()
        for kind, topic, log, qos in (
            (Image, 'image', self._log_image, qos_profile_sensor_data),
            (CameraInfo, 'camera_info', self._receive_camera, qos_profile_sensor_data),
            (PointCloud2, 'features', self._log_features, _QUEUE),
            (PointCloud, 'tracks', self._log_tracks, _QUEUE),
            (Odometry, 'odometry', self._log_odometry, _QUEUE),
            (PointCloud2, 'map', self._log_map, _QUEUE),
            (PoseStamped, 'ground_truth/pose', self._log_truth, _QUEUE),
        ):
            self.create_subscription(kind, topic, self._callback(topic, log), qos)

    def _callback(self, topic: str, log):
        """Return a callback that sets the time, logs a message, and reports problems."""

        def receive(message) -> None:
            self.scene.set_time(stamp=seconds_of(message.header.stamp))
            try:
                log(message)
            except ValueError as error:
                if str(error) not in self._problems:
                    self._problems.add(str(error))
                    self.get_logger().warning(f'{self.resolve_topic_name(topic)}: {error}')
                return
            self.counts[topic] = self.counts.get(topic, 0) + 1

        return receive

    def _log_image(self, message: Image) -> None:
        self.scene.log_image(gray_from_image(message))

    def _receive_camera(self, message: CameraInfo) -> None:
        if is_calibrated(message):
            self._camera = CameraModel.from_message(message).published()

    def _log_features(self, message: PointCloud2) -> None:
        self.scene.log_keypoints(features_from_message(message))

    def _log_tracks(self, message: PointCloud) -> None:
        tracks = tracks_from_message(message)
        self._last_tracks = tracks = _with_history(tracks, self._last_tracks)
        self.scene.log_tracks(tracks)

    def _log_odometry(self, message: Odometry) -> None:
        pose = _matrix(message.pose.pose)
        self._positions.estimated[stamp_key(message)] = pose[:3, 3]
        if not self._positions.truth:
            self.scene.log_camera(pose, self._camera)
        now = time.monotonic()
        if now - self._trajectory_time >= _TRAJECTORY_PERIOD:
            self._trajectory_time = now
            self.log_trajectories()

    def _log_map(self, message: PointCloud2) -> None:
        points = positions_from_message(message)
        self.scene.log_map(self._positions.in_frame_of_truth(points))

    def _log_truth(self, message: PoseStamped) -> None:
        pose = _matrix(message.pose)
        self._positions.truth[stamp_key(message)] = pose[:3, 3]
        self.scene.log_camera(pose, self._camera)

    def log_trajectories(self) -> None:
        """Log the trajectories up to now, the estimated one in the frame of the true one."""
        estimated, truth = self._positions.aligned()
        if len(estimated):
            self.scene.log_trajectory(estimated, METHOD)
        if len(truth):
            self.scene.log_trajectory(truth, TRUTH)


def _matrix(pose: Pose) -> np.ndarray:
    """Return the pose (4, 4) of a message."""
    position, orientation = pose.position, pose.orientation
    return pose_matrix(
        np.array([position.x, position.y, position.z]),
        np.array([orientation.x, orientation.y, orientation.z, orientation.w]),
    )


def _with_history(tracks: Tracks, before: Tracks | None) -> Tracks:
    """Return tracks with previous positions and ages, which messages do not have."""
    ages, previous = np.ones(len(tracks), np.int64), np.full((len(tracks), 2), np.nan, np.float32)
    if before is not None:
        _, now, then = np.intersect1d(tracks.ids, before.ids, return_indices=True)
        ages[now], previous[now] = before.ages[then] + 1, before.keypoints[then]
    return replace(tracks, previous=previous, ages=ages)
