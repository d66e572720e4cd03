# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The player: publishes images of a folder, a video, a recording or a camera, as a driver would.

Without a source it is a virtual camera that pans, turns and zooms over the photographs that come
with the package, or one that flies through a room of them: a camera topic on any machine. Where
calibration and true poses are known, they are published too.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import cv2
from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from superpoint_ros.data.sequences.sequence import Frame
from superpoint_ros.ros.messages.camera_messages import camera_info_message, pose_message
from superpoint_ros.ros.parameters import declare
from superpoint_ros.ros.player_parameters import open_source, PlayerSettings

_LAST_WORDS = Duration(seconds=1)


class PlayerNode(Node):
    """
    Publish the frames of a source on `image`, stamped with the time at which they were read.

    Where the source has a calibration, each comes with one on `camera_info`; where it knows the
    true pose of a frame, that is on `ground_truth/pose`. All have the image's stamp.

    After the last frame, where the source has one and is not repeated, the node's context is shut
    down, which ends its program. Raises ValueError or FileNotFoundError for a source that cannot
    be played.
    """

    def __init__(self, **options):
        super().__init__('player', **options)
        self._settings = declare(self, PlayerSettings)
        self._sequence = open_source(self._settings)
        self._frames: Iterator[Frame] = iter(self._sequence)
        self._message = Image()
        self.published = 0
        # Reliable: it suits subscribers of both kinds, and large images get lost otherwise.
        self._publisher = self.create_publisher(Image, 'image', QoSProfile(depth=5))
        self._info_publisher = self._pose_publisher = None
        if self._sequence.camera is not None:
            self._info_publisher = self.create_publisher(
                CameraInfo, 'camera_info', QoSProfile(depth=5)
            )
        rate = self._settings.rate or self._sequence.rate
        self._timer = self.create_timer(1 / rate, self._publish_next)
        what = self._settings.source or 'the photographs of the package'
        self.get_logger().info(f'publishing {what} at {rate:g} Hz')

    def stop(self) -> bool:
        """Return True: between two frames there is no work to end."""
        return True

    def _next_frame(self) -> Frame | None:
        """Return the next frame, at the end the first again, or None."""
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
            self.get_logger().info(f'{self.published} frames were published, there are no more')
            self._publisher.wait_for_all_acked(_LAST_WORDS)
            self.context.try_shutdown()
            return
        image = self._reduced(frame.image)
        stamp = self.get_clock().now()
        if self._settings.recorded_stamps:
            stamp = Time(nanoseconds=round(frame.stamp * 1e9))
        header = Header(stamp=stamp.to_msg(), frame_id=self._settings.frame_id)
        # The image last: who has it has the rest already.
        if self._info_publisher is not None:
            camera = self._sequence.camera.scaled(image.shape[1::-1])
            self._info_publisher.publish(camera_info_message(camera, header))
        if frame.pose is not None:
            self._publish_pose(frame.pose, header)
        self._fill(image)
        self._message.header = header
        self._publisher.publish(self._message)
        self.published += 1

    def _publish_pose(self, pose: np.ndarray, header: Header) -> None:
        """Publish a true pose, on a topic that only exists where there are some."""
        if self._pose_publisher is None:
            self._pose_publisher = self.create_publisher(
                PoseStamped, 'ground_truth/pose', QoSProfile(depth=5)
            )
        in_world = Header(stamp=header.stamp, frame_id=self._settings.world_frame_id)
        self._pose_publisher.publish(pose_message(pose, in_world))

    def _reduced(self, image: np.ndarray) -> np.ndarray:
        """Return the image with no side longer than `max_side`."""
        longest = max(image.shape[:2])
        largest = self._settings.max_side
        if not largest or longest <= largest:
            return image
        scale = largest / longest
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

    def _fill(self, image: np.ndarray) -> None:
        """Put the image's pixels into the message, whose memory is kept from frame to frame."""
        message = self._message
        height, width = image.shape[:2]
        step = image.size // height
        if (message.height, message.width, message.step) != (height, width, step):
            message.height, message.width, message.step = height, width, step
            message.encoding = 'mono8' if image.ndim == 2 else 'bgr8'
            # Any other type than array('B') is checked byte by byte: a thousand times slower.
            message.data = array('B', bytes(image.size))
        np.frombuffer(message.data, np.uint8)[:] = image.reshape(-1)
