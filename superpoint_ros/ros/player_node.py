# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The player: publish images of a folder, a video, a recording or a camera, as a driver does.

Without a source it is a virtual camera that pans, turns and zooms over the package's photographs,
or one that flies through a simulated room. Calibration and true poses are published if they are
known.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from superpoint_ros.data.sequences.sequence import Frame
from superpoint_ros.ros.messages.camera_messages import camera_info_message, pose_message
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.parameters import declare
from superpoint_ros.ros.player_parameters import open_source, PlayerSettings

_FLUSH_TIMEOUT = Duration(seconds=1)


class PlayerNode(Node):
    """
    Publish the frames of a source on `image`, stamped with the time at which they were read.

    If the source has a calibration, it is published with each image on `camera_info`; if it has
    the true pose of a frame, on `ground_truth/pose`. With `stereo`, `right/image` and
    `right/camera_info` follow, with `depth`, depth images on `depth`. All have the image's stamp.

    After the last frame of a source that is not repeated, the node's context is shut down, which
    ends the program. Raises ValueError or FileNotFoundError for a source that cannot be played.
    """

    def __init__(self, **options):
        super().__init__('player', **options)
        self._settings = declare(self, PlayerSettings)
        self._sequence = open_source(self._settings)
        self._frames: Iterator[Frame] = iter(self._sequence)
        self.published = 0
        # Reliable: it matches subscribers of both kinds, and large images get lost otherwise.
        self._image_publisher = self.create_publisher(Image, 'image', QoSProfile(depth=5))
        self._info_publisher = self._pose_publisher = None
        self._extra: dict[str, Publisher] = {}
        if self._settings.stereo:
            self._make_extra(Image, 'right/image')
            self._make_extra(CameraInfo, 'right/camera_info')
        if self._settings.depth:
            self._make_extra(Image, 'depth')
        if self._sequence.camera is not None:
            self._info_publisher = self.create_publisher(
                CameraInfo, 'camera_info', QoSProfile(depth=5)
            )
        rate = self._settings.rate or self._sequence.rate
        self._timer = self.create_timer(1 / rate, self._publish_next)
        what = self._settings.source or "the package's photographs"
        self.get_logger().info(f'publishing {what} at {rate:g} Hz')

    def _make_extra(self, kind: type, topic: str) -> None:
        """Make the publisher of the second camera or of depth."""
        self._extra[topic] = self.create_publisher(kind, topic, QoSProfile(depth=5))

    def stop(self) -> bool:
        """Return True: work ends with its callback."""
        return True

    def _next_frame(self) -> Frame | None:
        """Return the next frame, None at the end of a source that is not repeated."""
        frame = next(self._frames, None)
        if frame is None and self._settings.loop:
            self._frames = iter(self._sequence)
            frame = next(self._frames, None)
        return frame

    def _publish_next(self) -> None:
        """Publish one frame."""
        frame = self._next_frame()
        if frame is None:
            self._timer.cancel()
            self.get_logger().info(f'end of the source: {self.published} frames were published')
            self._image_publisher.wait_for_all_acked(_FLUSH_TIMEOUT)
            self.context.try_shutdown()
            return
        image = self._reduced(frame.image)
        stamp = self.get_clock().now()
        if self._settings.recorded_stamps:
            stamp = Time(nanoseconds=round(frame.stamp * 1e9))
        header = Header(stamp=stamp.to_msg(), frame_id=self._settings.frame_id)
        # The image last: a subscriber that has it has the rest already.
        if self._info_publisher is not None:
            camera = self._sequence.camera.scaled(image.shape[1::-1])
            self._info_publisher.publish(camera_info_message(camera, header))
        if frame.pose is not None:
            self._publish_pose(frame.pose, header)
        if self._settings.stereo:
            self._publish_second(frame, header)
        if self._settings.depth and frame.depth is not None:
            # Depths at edges must not be mixed: the nearest pixel.
            depth = self._reduced(frame.depth, cv2.INTER_NEAREST)
            self._extra['depth'].publish(image_message(depth, header))
        self._image_publisher.publish(image_message(image, header))
        self.published += 1

    def _publish_second(self, frame: Frame, header: Header) -> None:
        """Publish image and calibration of the right camera, in the frame of the left one."""
        if frame.second is None:
            return
        image = self._reduced(frame.second)
        camera = self._sequence.camera.scaled(image.shape[1::-1])
        info = camera_info_message(camera, header, self._sequence.baseline)
        self._extra['right/camera_info'].publish(info)
        self._extra['right/image'].publish(image_message(image, header))

    def _publish_pose(self, pose: np.ndarray, header: Header) -> None:
        """Publish a true pose; the topic exists only if there are any."""
        if self._pose_publisher is None:
            self._pose_publisher = self.create_publisher(
                PoseStamped, 'ground_truth/pose', QoSProfile(depth=5)
            )
        in_world = Header(stamp=header.stamp, frame_id=self._settings.world_frame_id)
        self._pose_publisher.publish(pose_message(pose, in_world))

    def _reduced(self, image: np.ndarray, interpolation: int = cv2.INTER_AREA) -> np.ndarray:
        """Return the image with no side longer than `max_side`."""
        longest = max(image.shape[:2])
        largest = self._settings.max_side
        if not largest or longest <= largest:
            return image
        scale = largest / longest
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        return cv2.resize(image, (width, height), interpolation=interpolation)
