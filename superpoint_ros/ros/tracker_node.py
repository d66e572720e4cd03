# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The tracker node: features in, points with persistent ids out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
from sensor_msgs.msg import Image, PointCloud, PointCloud2
from std_msgs.msg import Header

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.data.sequences.bags import seconds_of
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.odometry.odometry_drawing import draw_tracks, TrackTails
from superpoint_ros.odometry.odometry_settings import TrackerSettings
from superpoint_ros.odometry.tracker import Tracker, Tracks
from superpoint_ros.ros.lifecycle_node import ProcessingNode
from superpoint_ros.ros.messages.feature_messages import features_from_message
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.messages.track_messages import LAYOUTS, tracks_to_cloud, tracks_to_message
from superpoint_ros.ros.node_log import ThrottledWarnings
from superpoint_ros.ros.topics.calibration_topic import CalibrationTopic, RECTIFIED
from superpoint_ros.ros.topics.frame_images import FrameImages
from superpoint_ros.ros.topics.processed_topic import ProcessedTopic

COORDINATES = ('normalized', 'pixels')

MAX_LATE = 0.5
"""Seconds by which the stamp of a message may lie before that of the last one. Such messages are
out of order, or the clock was corrected; all tracks restart if the stamps go farther back."""


@dataclass(frozen=True)
class TrackOutput(SettingsGroup):
    """Settings of the published tracks and of the overlay."""

    min_age: int = setting(
        1,
        'Number of frames after which a track is published. 2 leaves out new points, whose '
        'velocity is unknown.',
        range=(1, 1000),
    )
    overlay: bool = setting(True, 'Publish tracks/overlay while it has a subscriber.')
    tail_length: int = setting(
        15, 'Length of the tails in the overlay, in frames.', range=(0, 1000)
    )


@dataclass(frozen=True)
class TrackMessages(SettingsGroup, live=False):
    """Settings of the format of the published tracks."""

    layout: str = setting(
        'vins_mono',
        'Channels of the messages: vins_mono (id, u, v, velocity_x, velocity_y), or vins_fusion '
        '(id, camera_id, u, v, velocity_x, velocity_y, gx, gy, gz).',
        choices=tuple(LAYOUTS),
    )
    coordinates: str = setting(
        COORDINATES[0],
        'Coordinates of points and velocities: normalized (undistorted, at depth 1; needs '
        'camera_info), or pixels.',
        choices=COORDINATES,
    )
    rectified: bool = setting(False, RECTIFIED)
    camera_id: int = setting(0, 'Number of the camera in the layout vins_fusion.', range=(0, 255))
    covariances: bool = setting(
        True,
        'Add the channels variance_u, covariance_uv and variance_v to the messages of frames with '
        'an image.',
    )


TRACKER_GROUPS = (TrackMessages, TrackerSettings, TrackOutput)
"""Groups of settings that are parameters of the tracker node, besides `LifecycleSettings`."""


class TrackerNode(ProcessingNode):
    """
    Publish tracks of the features received.

    One message of tracks is published for each message of features that comes in order; with
    `coordinates: normalized` only if there is a calibration.
    """

    def __init__(self, **options):
        super().__init__('tracker', TRACKER_GROUPS, **options)

    def prepare(self) -> None:
        """Make the tracker."""
        self._messages = self.parameters.of(TrackMessages)
        self.calibration = CalibrationTopic(self, 'camera_info', self._messages.rectified)
        self._tracker = Tracker()
        self._tails = TrackTails()
        self._restarts = ThrottledWarnings(self.get_logger())
        self.images = FrameImages(self, 'image', 'tracks are not refined')
        self._tracked, self._stamp = 0, 0.0
        self.inputs = [
            ProcessedTopic(
                *(self, PointCloud2, 'features', self.process, self._trouble, self.calibration),
                stage='tracking',
                points='tracks',
            )
        ]

    def set_up(self) -> None:
        """Make the publishers, and reset the tracker."""
        self._tracker.reset()
        self._stamp = 0.0
        Tracker.warm_up()
        self._track_publisher = self.publisher(PointCloud, 'tracks', 10)
        self._cloud_publisher = self.publisher(PointCloud2, 'tracks/cloud', 10)
        self._overlay = self.publisher(Image, 'tracks/overlay', 1)
        self.get_logger().info(
            f'features from {self.inputs[0].topic}, tracks to {self._track_publisher.topic_name}'
        )

    def begin_work(self) -> None:
        """Subscribe to images: before features, so that the executor takes images first."""
        self.images.follow_demand(wanted=True)  # a wrong QoS override is an error now
        self._follow_demand()

    def end_work(self) -> bool:
        """Unsubscribe from images; return True, as no work is pending."""
        self.images.follow_demand(wanted=False)
        return True

    def _follow_demand(self) -> None:
        """Subscribe to images if they are of use."""
        settings, output = self.parameters.of(TrackerSettings), self.parameters.of(TrackOutput)
        self.images.follow_demand(
            settings.max_refinement > 0
            or settings.max_bridged_frames > 0
            or (output.overlay and self._overlay.get_subscription_count() > 0)
        )

    def process(self, message: PointCloud2) -> int | None:
        """Publish the tracks of a message; return their number, None without a calibration."""
        features, stamp = features_from_message(message), seconds_of(message.header.stamp)
        if 0 < self._stamp - stamp <= MAX_LATE:
            raise ValueError(
                f'the stamp lies {self._stamp - stamp:.3f} s before that of the last message: '
                'messages must come in the order of their stamps'
            )
        self._stamp = stamp
        output = self.parameters.of(TrackOutput)
        self._tracker.settings = self.parameters.of(TrackerSettings)
        self._follow_demand()
        image = self.images.gray(message)
        size, model = self.images.size, None
        if self._messages.coordinates == 'normalized':
            model = self.calibration.model(size)
            if size is None and model and all(model.image_size):
                size = model.image_size
        tracks = self._tracker.update(features, stamp, size, image)
        if self._tracker.restart_reason:
            self._restarts.warn(f'all tracks restart: {self._tracker.restart_reason}')
        self._tracked = int((tracks.ages > 1).sum())
        chosen = tracks.select(tracks.ages >= output.min_age)
        is_published = model is not None or self._messages.coordinates == 'pixels'
        if is_published:
            self._publish(chosen, message.header, model)
        self._tails.length = output.tail_length
        self._tails.update(tracks)
        if image is not None and output.overlay and self._overlay.get_subscription_count() > 0:
            drawing = draw_tracks(image, tracks, self._tails)
            self._overlay.publish(image_message(drawing, message.header))
        return len(chosen) if is_published else None

    def _publish(self, tracks: Tracks, header: Header, model: CameraModel | None) -> None:
        """Publish tracks, in pixels without a model, and as a cloud if it has a subscriber."""
        settings = self._messages
        if not settings.covariances:
            tracks = replace(tracks, covariances=None)
        points, velocities = self._measured(tracks, model)
        self._track_publisher.publish(
            tracks_to_message(
                tracks, header, points, velocities, settings.layout, settings.camera_id
            )
        )
        if self._cloud_publisher.get_subscription_count() > 0:
            # Pixels times a depth are no position.
            cloud = tracks if model else replace(tracks, depths=None)
            self._cloud_publisher.publish(tracks_to_cloud(cloud, header, points, velocities))

    @staticmethod
    def _measured(tracks: Tracks, model: CameraModel | None) -> tuple[np.ndarray, np.ndarray]:
        """Return points and velocities in the coordinates that are published."""
        if model is None:
            return tracks.keypoints, tracks.velocities
        points = model.normalize(tracks.keypoints)
        old = tracks.intervals > 0
        velocities = np.zeros_like(points)
        before = model.normalize(tracks.previous[old])
        velocities[old] = (points[old] - before) / tracks.intervals[old, None]
        return points, velocities

    def _trouble(self) -> str:
        """Return why no tracks are published; empty if they are."""
        return self.calibration.trouble if self._messages.coordinates == 'normalized' else ''

    def statuses(self) -> Sequence[DiagnosticStatus]:
        """Return the content of the diagnostics."""
        values = {
            'state': self.state,
            'tracks seen before': self._tracked,
            'layout': self._messages.layout,
            'images': self.images.note,
        }
        return [self.inputs[0].status(values=values)]
