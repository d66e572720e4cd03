# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The cameras of the detector node: from an image message to published features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
import time

import cv2
import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from superpoint_ros.data.image_encodings import ImageMessageError
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.ros.calibration_topic import CalibrationTopic
from superpoint_ros.ros.detector.detector_parameters import CameraSettings, FeatureOutput
from superpoint_ros.ros.detector.worker import Worker
from superpoint_ros.ros.events import with_events
from superpoint_ros.ros.inputs import InputTopic
from superpoint_ros.ros.messages.feature_messages import features_to_message
from superpoint_ros.ros.messages.image_messages import gray_from_image, image_message, stamp_key
from superpoint_ros.visualization import draw_keypoints


@dataclass
class CameraFrame:
    """
    An image on its way through the node.

    Attributes:
        message: the message received.
        arrival: the time of its arrival, in seconds of the monotonic clock.
        gray: its gray pixels, uint8 (H, W), once it is read.
        stages: seconds that each stage of the processing took.

    """

    message: Image | CompressedImage
    arrival: float
    gray: np.ndarray | None = None
    stages: dict[str, float] = field(default_factory=dict)


class Camera(InputTopic):
    """
    One camera: its images, its mask and calibration, and the publishers of its features.

    `name` is the prefix of its topics, empty for a single camera, `mask_path` the file of its
    mask, empty for none. Frames are processed by `worker`, which must call `process_frames`.
    Images are received as sensor data (REP 2003) with a queue of 1, features are published
    reliably; parameters `qos_overrides` change either. Raises ValueError or FileNotFoundError for
    a mask that cannot be read.
    """

    content = 'images'

    def __init__(
        self, node: Node, name: str, settings: CameraSettings, mask_path: str, worker: Worker
    ):
        self._is_compressed = settings.image_transport == 'compressed'
        prefix = f'{name}/' if name else ''
        super().__init__(
            node,
            CompressedImage if self._is_compressed else Image,
            f'{prefix}image',
            QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT),
        )
        if self._is_compressed:
            # As image_transport does it: remapping the image remaps its compressed form, too.
            self._topic = node.resolve_topic_name(f'{self._topic}/compressed')
        self._worker = worker
        self._lazy = settings.lazy
        self.mask = _read_mask(mask_path)
        """uint8 (H, W), 0 where no keypoints are allowed; None allows them everywhere."""
        self._calibration = None
        if settings.normalized_coordinates:
            self._calibration = CalibrationTopic(node, f'{prefix}camera_info')
        self._features = self._publisher(PointCloud2, f'{prefix}features', 10)
        self._overlay = self._publisher(Image, f'{prefix}features/overlay', 1)

    def _publisher(self, message_type: type, topic: str, depth: int):
        create = partial(
            self.node.create_publisher,
            message_type,
            topic,
            QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.RELIABLE),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        if not self._lazy:
            return create()
        # `watch` follows the demand, too: not every RMW implementation reports subscribers.
        return with_events(create, PublisherEventCallbacks(matched=lambda _: self.follow_demand()))

    @property
    def features_topic(self) -> str:
        """Return the full name of the topic of the features."""
        return self._features.topic_name

    def start(self) -> None:
        """Begin to receive images and calibrations."""
        if self._calibration:
            self._calibration.start()
        super().start()

    def stop(self) -> None:
        """Stop receiving."""
        if self._calibration:
            self._calibration.stop()
        super().stop()

    def destroy(self) -> None:
        """Remove all topics."""
        self.stop()
        self.node.destroy_publisher(self._features)
        self.node.destroy_publisher(self._overlay)

    def watch(self) -> None:
        """Check the topics of images and calibrations."""
        if self._calibration:
            self._calibration.watch()
        super().watch()

    def is_wanted(self) -> bool:
        """Return whether images are needed: if lazy, while features have a subscriber."""
        publishers = (self._features, self._overlay)
        return not self._lazy or any(each.get_subscription_count() for each in publishers)

    def trouble(self) -> str:
        """Return why normalized coordinates cannot be computed; empty if they can."""
        return self._calibration.trouble if self._calibration else ''

    def note(self) -> str:
        """Return why no images are received, although nothing is wrong."""
        is_idle = self._is_started and self._subscription is None
        return 'the features have no subscriber' if is_idle else super().note()

    def _remap_target(self, topic: str) -> str:
        return topic.removesuffix('/compressed') if self._is_compressed else topic

    def _receive(self, message: Image | CompressedImage) -> None:
        frame = CameraFrame(message, time.monotonic())
        replaces = self._worker.put(self, frame, stamp_key(message))
        self.statistics.add_arrival(frame.arrival, replaces)

    def read(self, frame: CameraFrame) -> bool:
        """Return whether the message could be converted to gray; report a bad one."""
        start = time.perf_counter()
        frame.stages['waiting'] = time.monotonic() - frame.arrival
        try:
            frame.gray = gray_from_image(frame.message)
        except ImageMessageError as error:
            self.report_bad_message(error, error.reason)
            return False
        frame.stages['conversion'] = time.perf_counter() - start
        return True

    def publish(self, frame: CameraFrame, features: Features, output: FeatureOutput) -> None:
        """Publish the features of a frame, and its overlay if it has a subscriber."""
        start = time.perf_counter()
        header = frame.message.header
        normalized = None
        if self._calibration:
            size = frame.gray.shape[::-1]
            normalized = self._calibration.normalize(features.keypoints, size)
        self._features.publish(
            features_to_message(features, header, output.descriptor_format, normalized)
        )
        frame.stages['publishing'] = time.perf_counter() - start
        now = time.monotonic()
        self.statistics.add_frame(now, frame.stages, self.age(header), len(features))
        if output.overlay and self._overlay.get_subscription_count() > 0:
            self._overlay.publish(image_message(draw_keypoints(frame.gray, features), header))


Frames = Sequence[tuple[Camera, CameraFrame]]


def process_frames(
    frames: Frames, detector: Detector, settings: DetectionSettings, output: FeatureOutput
) -> int:
    """
    Publish the features of the newest frames of some cameras; return how many were published.

    Bad frames are reported by their cameras; raises what the network raises.
    """
    readable = [(camera, frame) for camera, frame in frames if camera.read(frame)]
    if not readable:
        return 0
    start = time.perf_counter()
    found = _detect(readable, detector, settings)
    elapsed = time.perf_counter() - start
    for (camera, frame), features in zip(readable, found, strict=True):
        if features is not None:
            frame.stages['inference'] = elapsed
            camera.publish(frame, features, output)
    return sum(features is not None for features in found)


def _detect(
    frames: Frames, detector: Detector, settings: DetectionSettings
) -> list[Features | None]:
    """Return the features of each frame; None for one whose size or mask is refused."""
    images = [frame.gray for _, frame in frames]
    masks = [camera.mask for camera, _ in frames]
    try:
        return detector(images, masks, settings)
    except ValueError as error:
        if len(frames) > 1:  # the others may be good
            return [each for one in frames for each in _detect([one], detector, settings)]
        camera, _ = frames[0]
        camera.report_bad_message(error, 'image')
        return [None]


def _read_mask(path: str) -> np.ndarray | None:
    """Return the image of a mask, None for an empty path; raise ValueError if it is no image."""
    if not path:
        return None
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no mask {path}')
    mask = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ValueError(f'the mask {path} is not an image that OpenCV can read')
    return mask
