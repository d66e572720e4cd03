# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Where a camera's keypoints get their depths: from a second camera or from a depth image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from superpoint_ros.data.image_encodings import depth_from_message, ImageMessageError
from superpoint_ros.features import Depths
from superpoint_ros.geometry.camera_model import CameraModelError
from superpoint_ros.geometry.depth_images import DepthImageError, image_depths
from superpoint_ros.geometry.depth_settings import DepthSettings
from superpoint_ros.geometry.stereo import (
    stereo_depths,
    StereoCamera,
    StereoError,
    warm_up_stereo,
)
from superpoint_ros.ros.detector.camera import Camera, CameraFrame
from superpoint_ros.ros.detector.detector_parameters import DepthInput
from superpoint_ros.ros.messages.image_messages import stamp_nanoseconds
from superpoint_ros.ros.node_log import ThrottledWarnings
from superpoint_ros.ros.topics.input_topic import InputTopic
from superpoint_ros.ros.topics.pairing import MessagePair
from superpoint_ros.ros.topics.timed_pairing import TimedPairing

_ERRORS = (CameraModelError, DepthImageError, ImageMessageError, StereoError)


class DepthSource(ABC):
    """
    Source of the depths of the keypoints of a camera.

    Frames wait in `pairs` for their partners, in the executor's thread; `depths` is called in the
    worker's. `_trouble` is why the last frame has no depths.
    """

    def __init__(self, camera: Camera, settings: DepthInput):
        self._camera = camera
        camera.depth_source = self
        self.pairs = TimedPairing(
            camera.node, settings.pair_tolerance, settings.pair_wait, self._deliver
        )
        self._trouble = ''
        self._reasons = ThrottledWarnings(camera.node.get_logger())

    def _add_frame(self, side: int, frame: CameraFrame) -> None:
        self.pairs.add(side, frame, stamp_nanoseconds(frame.message), frame.arrival)

    @property
    @abstractmethod
    def _unpaired(self) -> str:
        """Return which messages do not belong together."""

    @abstractmethod
    def _deliver(self, pairs: list[MessagePair]) -> None:
        """Put frames into the worker, with or without their partners."""

    @abstractmethod
    def _measure(self, frame: CameraFrame, settings: DepthSettings) -> Depths:
        """Return the depths of the features of a frame with a partner; may raise `_ERRORS`."""

    @abstractmethod
    def _report(self, error: ValueError) -> None:
        """Report why a frame with a partner has no depths."""

    def depths(self, frame: CameraFrame, settings: DepthSettings) -> Depths:
        """Return the depths of the features of a frame; unknown, after a report, without any."""
        if self._has_partner(frame):
            try:
                found = self._measure(frame, settings)
                self._trouble = ''
                return found
            except _ERRORS as error:
                self._trouble = f'no depths: {error}'
                self._report(error)
        return Depths.unknown(len(frame.features))

    def _has_partner(self, frame: CameraFrame) -> bool:
        """Return whether a frame has what its depths are measured with."""
        return frame.partner is not None

    def check(self) -> None:
        """Log why there are no pairs; to be called about once per second."""
        reason = self._pairs_trouble()
        if reason:
            self._reasons.warn(f'{self._camera.topic}: {reason}')

    def trouble(self) -> str:
        """Return why keypoints have no depths; empty if they have. For the executor's thread."""
        return self._pairs_trouble() or self._trouble

    def _pairs_trouble(self) -> str:
        reason = self.pairs.trouble()
        return f'no depths: {self._unpaired}: {reason}' if reason else ''


class StereoDepth(DepthSource):
    """
    Depths of the left camera's keypoints from a rectified stereo pair.

    Frames of both cameras wait for each other before they go to the worker, which processes those
    of a pair together.
    """

    def __init__(self, left: Camera, right: Camera, settings: DepthInput):
        super().__init__(left, settings)
        self._cameras = (left, right)
        warm_up_stereo()
        for side, camera in enumerate(self._cameras):
            camera.on_frame = partial(self._add_frame, side)
        right.needed_by = left

    def _deliver(self, pairs: list[MessagePair]) -> None:
        for pair in pairs:
            left, right = pair
            if left is not None and right is not None:
                left.partner, right.key = right, left.key
            with self._camera.worker.together():
                for camera, frame in zip(self._cameras, pair, strict=True):
                    if frame is not None:
                        camera.enqueue(frame)

    def _has_partner(self, frame: CameraFrame) -> bool:
        return frame.partner is not None and frame.partner.features is not None

    def _measure(self, frame: CameraFrame, settings: DepthSettings) -> Depths:
        right, camera = frame.partner, self._calibration(frame)
        return stereo_depths(
            frame.features, right.features, frame.gray, right.gray, camera, settings
        )

    def _report(self, error: ValueError) -> None:
        self._reasons.warn(f'{self._camera.topic}: {self._trouble}')

    def _calibration(self, frame: CameraFrame) -> StereoCamera:
        """Return the newest calibration of the pair; raise CameraModelError if it is not valid."""
        messages = [camera.calibration.newest for camera in self._cameras]
        for camera, message in zip(self._cameras, messages, strict=True):
            if message is None:
                source = camera.calibration
                raise CameraModelError(
                    f'no calibration received on {source.topic}{source.silence}'
                )
        camera = StereoCamera.from_messages(*messages)
        camera.left.check_size(frame.gray.shape[::-1])
        return camera

    @property
    def _unpaired(self) -> str:
        return f'no image of {self._cameras[1].topic} belongs to these'


class DepthTopic(DepthSource, InputTopic):
    """
    Depths of a camera's keypoints from depth images that are registered to its images.

    Frames wait for their depth images before they go to the worker.
    """

    content = 'depth images'
    points = 'keypoints with depth'

    def __init__(self, node: Node, name: str, camera: Camera, settings: DepthInput):
        qos = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        DepthSource.__init__(self, camera, settings)
        InputTopic.__init__(self, node, Image, f'{name}/depth' if name else 'depth', qos)
        camera.on_frame = partial(self._add_frame, 0)

    def is_wanted(self) -> bool:
        """Return whether the camera's images are needed."""
        return self._camera.is_wanted()

    def _receive(self, message: Image) -> None:
        now = time.monotonic()
        self.statistics.add_arrival(now, replaces=False)
        self.pairs.add(1, message, stamp_nanoseconds(message), now)

    def _deliver(self, pairs: list[MessagePair]) -> None:
        for frame, depth in pairs:
            if frame is not None:
                frame.partner = depth
                self._camera.enqueue(frame)

    def _measure(self, frame: CameraFrame, settings: DepthSettings) -> Depths:
        start = time.perf_counter()
        depth = depth_from_message(frame.partner)
        size = frame.gray.shape[::-1]
        found = image_depths(depth, frame.features.keypoints, size, settings)
        stages = {'depth': time.perf_counter() - start}
        age = self.age(frame.partner)
        self.statistics.add_frame(time.monotonic(), stages, age, int(found.known.sum()))
        return found

    def _report(self, error: ValueError) -> None:
        self.report_bad_message(error, getattr(error, 'reason', 'size'))

    @property
    def _unpaired(self) -> str:
        return f'no depth image of {self.topic} belongs to the images'


def make_depth_sources(
    node: Node, cameras: dict[str, Camera], settings: DepthInput
) -> list[DepthTopic]:
    """
    Give the cameras, by name, the depth source of the settings; return the topics to receive.

    Raises ValueError if a stereo pair is asked for, but there are not two cameras with two topics.
    """
    if settings.depth_source == 'stereo':
        if len(cameras) != 2:
            raise ValueError(
                'depth_source stereo needs two cameras, the left one first, such as '
                f'cameras: [left, right]; got {len(cameras)}'
            )
        left, right = cameras.values()
        if left.topic == right.topic:
            raise ValueError(
                f'depth_source stereo needs the images of two cameras; both are on {left.topic}'
            )
        StereoDepth(left, right, settings)
    elif settings.depth_source == 'image':
        return [DepthTopic(node, name, camera, settings) for name, camera in cameras.items()]
    return []
