# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The tracker node: features in, points with lasting ids out."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import Image, PointCloud, PointCloud2

from superpoint_ros.data.image_encodings import gray_from_message, ImageMessageError
from superpoint_ros.odometry.odometry_drawing import draw_tracks, TrackTails
from superpoint_ros.odometry.odometry_settings import TrackerSettings
from superpoint_ros.odometry.tracker import Tracker, Tracks
from superpoint_ros.ros.messages.feature_messages import features_from_message
from superpoint_ros.ros.messages.track_messages import LAYOUTS, tracks_to_message
from superpoint_ros.ros.pipeline_node import PipelineNode
from superpoint_ros.settings_table import check_settings, setting

COORDINATES = ('normalized', 'pixels')

_IMAGES_KEPT = 30  # while the detector works on them


@dataclass(frozen=True)
class TrackOutput:
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

    def __post_init__(self):
        check_settings(self)


@dataclass(frozen=True)
class TrackMessages:
    """Settings of the format of the published tracks."""

    layout: str = setting(
        'vins_mono',
        'Channels of the messages: vins_mono (id, u, v, velocity_x, velocity_y), or vins_fusion '
        '(id, camera_id, u, v, velocity_x, velocity_y, gx, gy, gz).',
        choices=tuple(LAYOUTS),
        live=False,
    )
    coordinates: str = setting(
        COORDINATES[0],
        'Coordinates of points and velocities: normalized (undistorted, at depth 1; needs '
        'camera_info), or pixels.',
        choices=COORDINATES,
        live=False,
    )
    camera_id: int = setting(
        0, 'Number of the camera in the layout vins_fusion.', range=(0, 255), live=False
    )

    def __post_init__(self):
        check_settings(self)


TRACKER_GROUPS = (TrackMessages, TrackerSettings, TrackOutput)
"""Groups of settings that are parameters of the tracker node, besides `LifecycleSettings`."""


class TrackerNode(PipelineNode):
    """
    Publish tracks of the features that come.

    One message of tracks is published for every message of features, except that with the
    coordinates `normalized` there are none without a calibration.
    """

    def __init__(self, **options):
        super().__init__('tracker', TRACKER_GROUPS, PointCloud2, 'features', 'tracking', **options)
        self._messages = self.parameters.of(TrackMessages)
        self._tracker = Tracker()
        self._tails = TrackTails()
        self._images: dict[tuple[int, int], Image] = {}
        self._image_subscription = None
        self._tracked = 0
        self.begin()

    def offer(self) -> str:
        """Return the topic of the tracks, after making the publishers and forgetting all."""
        self._tracker.reset()
        self._publisher, self._overlay = (
            self.create_publisher(
                kind, topic, QoSProfile(depth=depth), qos_overriding_options=self.overridable
            )
            for kind, topic, depth in ((PointCloud, 'tracks', 10), (Image, 'tracks/overlay', 1))
        )
        return self._publisher.topic_name

    def withdraw(self) -> None:
        """Destroy the publishers, and let no images in."""
        self._follow_listeners(wanted=False)
        if self._publisher is not None:
            self.destroy_publisher(self._publisher)
            self.destroy_publisher(self._overlay)
        self._publisher = self._overlay = None

    _publisher = _overlay = None

    def process(self, message: PointCloud2) -> int:
        """Return how many tracks were published for the features of a message."""
        features = features_from_message(message)
        output = self.parameters.of(TrackOutput)
        self._tracker.settings = self.parameters.of(TrackerSettings)
        model = self.calibration.model if self._messages.coordinates == 'normalized' else None
        size = model.image_size if model and all(model.image_size) else None
        stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        tracks = self._tracker.update(features, stamp, size)
        self._tracked = int((tracks.ages > 1).sum())
        chosen = tracks.select(tracks.ages >= output.min_age)
        if model is not None or self._messages.coordinates == 'pixels':
            points, velocities = self._measured(chosen, model)
            self._publisher.publish(
                tracks_to_message(
                    chosen,
                    message.header,
                    points,
                    velocities,
                    self._messages.layout,
                    self._messages.camera_id,
                )
            )
        self._tails.length = output.tail_length
        self._tails.update(tracks)
        self._follow_listeners(output.overlay and self._overlay.get_subscription_count() > 0)
        if self._image_subscription is not None:
            self._draw(message.header, tracks)
        return len(chosen)

    @staticmethod
    def _measured(tracks: Tracks, model) -> tuple[np.ndarray, np.ndarray]:
        """Return points and velocities in the coordinates that are published."""
        if model is None:
            return tracks.keypoints, tracks.velocities
        points = model.normalize(tracks.keypoints)
        old = tracks.intervals > 0
        velocities = np.zeros_like(points)
        before = model.normalize(tracks.previous[old])
        velocities[old] = (points[old] - before) / tracks.intervals[old, None]
        return points, velocities

    def _follow_listeners(self, wanted: bool) -> None:
        """Subscribe to the images while somebody looks at them."""
        if wanted and self._image_subscription is None:
            self._image_subscription = self.create_subscription(
                Image,
                'image',
                self._keep_image,
                qos_profile_sensor_data,
                qos_overriding_options=self.overridable,
            )
        elif not wanted and self._image_subscription is not None:
            self.destroy_subscription(self._image_subscription)
            self._image_subscription = None
            self._images.clear()

    def _keep_image(self, message: Image) -> None:
        self._images[(message.header.stamp.sec, message.header.stamp.nanosec)] = message
        while len(self._images) > _IMAGES_KEPT:
            self._images.pop(next(iter(self._images)))

    def _draw(self, header, tracks: Tracks) -> None:
        """Publish the image of the features with their tracks, if it came."""
        image = self._images.get((header.stamp.sec, header.stamp.nanosec))
        if image is None:
            return
        try:
            gray = gray_from_message(image)
        except ImageMessageError:  # the detector says what is wrong with it
            return
        picture = draw_tracks(gray, tracks, self._tails)
        height, width = gray.shape
        data = array('B')
        data.frombytes(picture.tobytes())
        self._overlay.publish(
            Image(
                header=image.header,
                height=height,
                width=width,
                encoding='bgr8',
                step=3 * width,
                data=data,
            )
        )

    def details(self) -> tuple[str, dict[str, object]]:
        """Return what is amiss, and values for the diagnostics."""
        trouble = self.calibration.trouble if self._messages.coordinates == 'normalized' else ''
        return trouble, {'tracks seen before': self._tracked, 'layout': self._messages.layout}
