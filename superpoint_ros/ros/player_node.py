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
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.image_files import reduce_to_side
from superpoint_ros.data.sequences.sequence import Frame
from superpoint_ros.ros.messages.camera_messages import camera_info_message, pose_message
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.node_log import REPEAT
from superpoint_ros.ros.parameters import declare, warn_of_misspelt_names
from superpoint_ros.ros.player_parameters import open_source, PlayerSettings

_FLUSH_TIMEOUT = Duration(seconds=1)

_CLOCK_PERIOD = 5.0
"""Seconds between two checks whether simulated time has begun."""


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
        try:
            self._open()
        except BaseException:
            self.destroy_node()
            raise

    def _open(self) -> None:
        """Open the source and make the publishers and the timer."""
        self._settings = declare(self, PlayerSettings)
        warn_of_misspelt_names(self)
        self._sequence = open_source(self._settings)
        self._frames: Iterator[Frame] = iter(self._sequence)
        self.published = 0
        self._topics: dict[str, Publisher] = {}
        kinds = {'image': Image}
        if self._settings.stereo:
            kinds |= {'right/image': Image, 'right/camera_info': CameraInfo}
        if self._settings.depth:
            kinds['depth'] = Image
        if self._sequence.camera is not None:
            kinds['camera_info'] = CameraInfo
        for topic, kind in kinds.items():
            self._add_topic(kind, topic)
        rate = self._settings.rate or self._sequence.rate
        self._timer = self.create_timer(1 / rate, self._publish_next)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_CLOCK_PERIOD, self._check_clock, clock=steady)
        what = self._settings.source or "the package's photographs"
        self.get_logger().info(f'publishing {what} at {rate:g} Hz')

    def _add_topic(self, kind: type, topic: str) -> None:
        # Reliable: it matches subscribers of both kinds, and large images get lost otherwise.
        self._topics[topic] = self.create_publisher(kind, topic, QoSProfile(depth=5))

    def stop(self) -> bool:
        """Return True: work ends with its callback."""
        return True

    def _check_clock(self) -> None:
        """Warn until simulated time, which determines the rate if it is used, begins."""
        if self.get_clock().now().nanoseconds:
            return
        self.get_logger().warning(
            'no images are published: use_sim_time is true, but no time has arrived on /clock; '
            'set use_sim_time:=false, or start what publishes /clock',
            throttle_duration_sec=REPEAT,
        )

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
            frames = counted(self.published, 'frame')
            self.get_logger().info(f'end of the source: published {frames}')
            self._topics['image'].wait_for_all_acked(_FLUSH_TIMEOUT)
            self.context.try_shutdown()
            return
        image = self._reduced(frame.image)
        header = Header(stamp=self._stamp(frame).to_msg(), frame_id=self._settings.frame_id)
        # The image last: a subscriber that has it has the rest already.
        if self._sequence.camera is not None:
            self._topics['camera_info'].publish(self._info(image, header))
        if frame.pose is not None:
            if 'ground_truth/pose' not in self._topics:
                self._add_topic(PoseStamped, 'ground_truth/pose')
            in_world = Header(stamp=header.stamp, frame_id=self._settings.world_frame_id)
            self._topics['ground_truth/pose'].publish(pose_message(frame.pose, in_world))
        self._publish_second_and_depth(frame, header)
        self._topics['image'].publish(image_message(image, header))
        self.published += 1

    def _stamp(self, frame: Frame) -> Time:
        """Return the stamp of the messages of a frame that is published now."""
        if not self._settings.recorded_stamps:
            return self.get_clock().now()
        if frame.nanoseconds is not None:
            return Time(nanoseconds=frame.nanoseconds)
        # Seconds since 1970 in a float are exact to about 0.2 microseconds.
        return Time(nanoseconds=round(frame.stamp * 1e6) * 1000)

    def _publish_second_and_depth(self, frame: Frame, header: Header) -> None:
        """Publish right image and depth image, if the frame has them and they are wanted."""
        if self._settings.stereo and frame.second is not None:
            # In the frame of the left camera.
            right = self._reduced(frame.second)
            info = self._info(right, header, self._sequence.baseline)
            self._topics['right/camera_info'].publish(info)
            self._topics['right/image'].publish(image_message(right, header))
        if self._settings.depth and frame.depth is not None:
            # Depths at edges must not be mixed. INTER_NEAREST takes the first of the pixels that
            # are merged, this the one in their middle.
            depth = self._reduced(frame.depth, cv2.INTER_NEAREST_EXACT)
            self._topics['depth'].publish(image_message(depth, header))

    def _info(self, image: np.ndarray, header: Header, baseline: float = 0.0) -> CameraInfo:
        """Return the calibration of an image of any size."""
        camera = self._sequence.camera.scaled(image.shape[1::-1])
        return camera_info_message(camera, header, baseline)

    def _reduced(self, image: np.ndarray, interpolation: int = cv2.INTER_AREA) -> np.ndarray:
        return reduce_to_side(image, self._settings.max_side, interpolation)
