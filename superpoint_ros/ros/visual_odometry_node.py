# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The visual odometry node: tracks in, the camera trajectory out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import time

import cv2
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistWithCovariance
from nav_msgs.msg import Odometry, Path
import numpy as np
from sensor_msgs.msg import PointCloud, PointCloud2
from std_msgs.msg import Header

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.bags import seconds_of
from superpoint_ros.geometry.poses import OPTICAL_TO_BODY
from superpoint_ros.odometry.map_refinement import MapRefiner
from superpoint_ros.odometry.odometry_settings import OdometrySettings
from superpoint_ros.odometry.pose_uncertainty import rotate_covariance, unknown_covariance
from superpoint_ros.odometry.visual_odometry import LOST, VisualOdometry
from superpoint_ros.ros.lifecycle_node import ProcessingNode
from superpoint_ros.ros.messages.camera_messages import pose_message, vector_message
from superpoint_ros.ros.messages.point_clouds import positions_message
from superpoint_ros.ros.messages.track_messages import tracks_from_message
from superpoint_ros.ros.node_log import log_failure, REPEAT
from superpoint_ros.ros.topics.calibration_topic import CalibrationTopic, RECTIFIED
from superpoint_ros.ros.topics.camera_transforms import CameraTransforms, tf_name
from superpoint_ros.ros.topics.processed_topic import ProcessedTopic

PATH_PERIOD = 0.5
"""Seconds between two messages of the path, and of the map: each repeats the whole."""

REFINEMENT_TIMEOUT = 2.0
"""Seconds for which the end of the node waits for the refinement of the map."""


@dataclass(frozen=True)
class OdometryOutput(SettingsGroup):
    """Settings of the topics besides the odometry."""

    path_length: int = setting(
        2000, 'Maximum number of poses in path; the latest are kept.', range=(0, 100_000)
    )


@dataclass(frozen=True)
class OdometryFrames(SettingsGroup, live=False):
    """Settings of the coordinate frames of the poses and of the calibration."""

    odom_frame: str = setting(
        'odom', 'The frame_id of the frame of the poses.', constraint='not empty'
    )
    publish_tf: bool = setting(
        True,
        'Publish the transform from odom_frame to base_frame, if tf2_ros is installed. Turn it '
        'off if another node, such as wheel odometry, publishes it.',
    )
    base_frame: str = setting(
        '',
        'The frame of the robot, such as base_link, to which the transform is published; '
        '/tf_static must have the transforms from it to the camera. Empty: the frame of the '
        'camera, if it has no parent on /tf_static.',
    )
    rectified: bool = setting(False, RECTIFIED)

    def __post_init__(self):
        super().__post_init__()
        if not tf_name(self.odom_frame):
            raise ValueError(f'odom_frame must be the name of a frame, got {self.odom_frame!r}')
        if self.base_frame and tf_name(self.base_frame) in ('', tf_name(self.odom_frame)):
            raise ValueError(
                f'base_frame must be a frame of the robot, not {self.base_frame!r} (odom_frame is '
                f'{self.odom_frame!r})'
            )


ODOMETRY_GROUPS = (OdometryFrames, OdometrySettings, OdometryOutput)
"""Groups of settings that are parameters of the odometry node, besides `LifecycleSettings`."""


class VisualOdometryNode(ProcessingNode):
    """
    Publish the pose of the camera for each message of tracks for which it can be estimated.

    The pose is that of the camera's optical frame, the frame of the tracks' header, in the frame
    `odom_frame`: x forward, y left and z up, as seen from the camera at the first keyframe, or
    the frame `base_frame` of the robot at that moment.

    Keyframes are refined in another thread; the poses of later frames include the result.
    """

    def __init__(self, **options):
        super().__init__('visual_odometry', ODOMETRY_GROUPS, **options)

    def prepare(self) -> None:
        """Prepare to receive tracks and calibrations."""
        self._frames = self.parameters.of(OdometryFrames)
        self.calibration = CalibrationTopic(self, 'camera_info', self._frames.rectified)
        self._odometry: VisualOdometry | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._refiner: MapRefiner | None = None
        self._transforms: CameraTransforms | None = None
        self._path: deque[PoseStamped] = deque()
        self._stamp = 0.0  # of the last tracks, in seconds
        self._unmounted = ''  # why it is unknown how the camera is mounted
        self._path_time = 0.0
        self.inputs = [
            ProcessedTopic(
                *(self, PointCloud, 'tracks', self.process, self._trouble, self.calibration),
                stage='odometry',
                points='inliers',
            )
        ]

    def set_up(self) -> None:
        """Compile the loops, make the publishers, and forget the map."""
        VisualOdometry.warm_up()
        self._odometry = None
        self._path.clear()
        self._thread = ThreadPoolExecutor(1, 'refinement')
        self._refiner = MapRefiner(self._thread, self._report_failure)
        self._odometry_publisher = self.publisher(Odometry, 'odometry', 10)
        self._path_publisher = self.publisher(Path, 'path', 1)
        self._map_publisher = self.publisher(PointCloud2, 'map', 1)
        if self._frames.publish_tf or self._frames.base_frame:
            self._transforms = self._make_transforms()
        self.get_logger().info(
            f'tracks from {self.inputs[0].topic}, '
            f'odometry to {self._odometry_publisher.topic_name}'
        )

    def end_work(self) -> bool:
        """Return whether no refinement goes on, after waiting for it."""
        return self._refiner is None or self._refiner.wait(REFINEMENT_TIMEOUT)

    def tear_down(self) -> None:
        """End the thread, and remove the publisher of the transforms."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._transforms is not None:
            self._transforms.destroy()
            self._transforms = None

    def _make_transforms(self) -> CameraTransforms | None:
        """Return a publisher of transforms; None without tf2_ros if it is not needed."""
        frames = self._frames
        try:
            return CameraTransforms(self, frames.odom_frame, frames.base_frame, frames.publish_tf)
        except ImportError as error:
            if frames.base_frame:
                raise ValueError(f'base_frame needs tf2_ros and tf2_msgs: {error}') from None
            self.get_logger().info('no transforms are published: tf2_ros is not installed')
            return None

    def process(self, message: PointCloud) -> int | None:
        """Publish the pose for some tracks; return the number of inliers, None without a pose."""
        model = self.calibration.model()
        if model is None:
            return None
        tracks = tracks_from_message(message)
        if self._odometry is None:
            self._odometry = VisualOdometry(model, refiner=self._refiner)
        elif self._odometry.camera_model is not model:
            self.get_logger().warning(
                f'the calibration on {self.calibration.topic} has changed: a new map starts at '
                'the last pose',
                throttle_duration_sec=REPEAT,
            )
            self._odometry.change_camera(model)
        odometry = self._odometry
        status, restarts = odometry.status, odometry.restarts
        odometry.settings = self.parameters.of(OdometrySettings)
        stamp = seconds_of(message.header.stamp)
        elapsed, self._stamp = stamp - self._stamp, stamp
        pose = odometry.update(tracks, stamp)
        has_restarted = odometry.restarts != restarts
        if has_restarted or odometry.status != status:
            self._log_status(odometry, has_restarted)
        mount = None if pose is None else self._mount(message.header.frame_id)
        if mount is None:
            return None
        self._publish(pose, mount, elapsed, message.header)
        return odometry.inliers

    def _mount(self, camera: str) -> np.ndarray | None:
        """Return the pose (4, 4) of the camera at the first keyframe, None if it is unknown."""
        mount = OPTICAL_TO_BODY if self._transforms is None else self._transforms.mount(camera)
        self._unmounted = ''
        if mount is None:
            self._unmounted = (
                f'/tf_static has no transforms from {self._frames.base_frame} (base_frame) to '
                f'{camera or "the camera, whose images have no frame_id"}'
            )
        return mount

    def _report_failure(self, error: Exception) -> None:
        """Log why a refinement failed; the odometry continues with the unrefined map."""
        log_failure(self.get_logger(), 'the refinement of keyframes failed', error, REPEAT)

    def _log_status(self, odometry: VisualOdometry, has_restarted: bool) -> None:
        """Log the new status, or the same one of a new map."""
        scale = 'metric' if odometry.metric else 'arbitrary'
        text = (
            f'{odometry.status}: {counted(odometry.inliers, "inlier")}, '
            f'{counted(odometry.restarts, "restart")}, '
            f'{scale} scale'
        )
        if has_restarted:
            text += f'; a new map starts at the last pose: {odometry.restart_reason}'
        if has_restarted or odometry.status == LOST:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)

    def _publish(
        self, pose: np.ndarray, mount: np.ndarray, elapsed: float, header: Header
    ) -> None:
        """
        Publish a pose as a transform, as odometry, and on the path; see `_velocity`.

        It is relative to the camera at the first keyframe, whose pose is `mount`.
        """
        pose = mount @ pose
        stamped = pose_message(pose, Header(stamp=header.stamp, frame_id=self._frames.odom_frame))
        if self._transforms is not None:  # first: who receives the odometry may look it up
            self._transforms.send(pose, mount, stamped.header, header.frame_id)
        message = Odometry(header=stamped.header, child_frame_id=header.frame_id)
        message.pose.pose = stamped.pose
        covariance = self._odometry.uncertainty.covariance
        message.pose.covariance = rotate_covariance(covariance, mount[:3, :3]).ravel()
        message.twist = self._velocity(elapsed)
        self._odometry_publisher.publish(message)
        self._publish_path_and_map(stamped, mount)

    def _velocity(self, elapsed: float) -> TwistWithCovariance:
        """Return the velocity in the camera's axes; the last frame was `elapsed` seconds ago."""
        motion, message = self._odometry.motion, TwistWithCovariance()
        if motion is None or not elapsed > 0:
            message.covariance = unknown_covariance().ravel()
            return message
        linear = motion[:3, :3].T @ motion[:3, 3] / elapsed
        angular = cv2.Rodrigues(motion[:3, :3])[0].ravel() / elapsed
        message.twist.linear = vector_message(linear)
        message.twist.angular = vector_message(angular)
        message.covariance = self._odometry.uncertainty.velocity.ravel()
        return message

    def _publish_path_and_map(self, stamped: PoseStamped, mount: np.ndarray) -> None:
        """Add a pose to the path; publish path and map every `PATH_PERIOD`, for subscribers."""
        self._path.append(stamped)
        while len(self._path) > self.parameters.of(OdometryOutput).path_length:
            self._path.popleft()
        now = time.monotonic()
        if now - self._path_time < PATH_PERIOD:
            return
        if self._path_publisher.get_subscription_count():
            self._path_time = now
            self._path_publisher.publish(Path(header=stamped.header, poses=list(self._path)))
        if self._map_publisher.get_subscription_count():
            self._path_time = now
            points = self._odometry.points @ mount[:3, :3].T + mount[:3, 3]
            self._map_publisher.publish(positions_message(points, stamped.header))

    def _trouble(self) -> str:
        """Return why there are no poses; empty if there are."""
        trouble = self.calibration.trouble or self._unmounted
        if not trouble and self._odometry is not None and self._odometry.status == LOST:
            trouble = 'lost: too few points agree with any pose; the scale may change'
        return trouble

    def statuses(self) -> Sequence[DiagnosticStatus]:
        """Return the content of the diagnostics."""
        odometry = self._odometry
        values = {'state': self.state, 'status': 'no calibration'}
        if odometry is not None:
            values |= {
                'status': odometry.status,
                'inliers': odometry.inliers,
                'points in the map': len(odometry.points),
                'restarts': odometry.restarts,
                'scale': 'metric' if odometry.metric else 'arbitrary',
            }
        return [self.inputs[0].status(values=values)]
