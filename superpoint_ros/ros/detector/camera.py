# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The cameras of the detector node: from an image message to published features."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
import time
from typing import TYPE_CHECKING

import numpy as np
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from superpoint_ros.data.image_encodings import ImageMessageError
from superpoint_ros.data.sequences.image_files import read_mask
from superpoint_ros.detection.covariances import keypoint_covariances
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.geometry.depth_settings import DepthSettings
from superpoint_ros.ros.detector.detector_parameters import (
    CameraSettings,
    DepthInput,
    FeatureOutput,
)
from superpoint_ros.ros.detector.worker import Worker
from superpoint_ros.ros.messages.feature_messages import features_to_message
from superpoint_ros.ros.messages.image_messages import gray_from_image, image_message, stamp_key
from superpoint_ros.ros.topics.calibration_topic import CalibrationTopic
from superpoint_ros.ros.topics.input_topic import InputTopic
from superpoint_ros.ros.topics.silent_topics import published_topics, type_name
from superpoint_ros.visualization import draw_keypoints

if TYPE_CHECKING:
    from superpoint_ros.ros.detector.depth_sources import DepthSource
    from superpoint_ros.ros.lifecycle_node import ProcessingNode


@dataclass
class CameraFrame:
    """
    An image on its way through the node.

    Attributes:
        message: the message received.
        arrival: the time of its arrival, in seconds of the monotonic clock.
        gray: its gray pixels, uint8 (H, W), once it is read.
        features: its features, once they are found.
        stages: seconds that each stage of the processing took.
        key: frames of several cameras with equal keys are processed together.
        partner: the right frame, or the depth image, that belongs to this frame; None without.

    """

    message: Image | CompressedImage
    arrival: float
    gray: np.ndarray | None = None
    features: Features | None = None
    stages: dict[str, float] = field(default_factory=dict)
    key: Hashable = None
    partner: CameraFrame | Image | None = None


class Camera(InputTopic):
    """
    One camera: its images, its mask and calibration, and the publishers of its features.

    `name` is the prefix of its topics, empty for a single camera, `mask_path` the file of its
    mask, empty for none. Frames are processed by `worker`, which must call `process_frames`; its
    thread calls `read`, `add_depths` and `publish`, the executor's all other methods.
    Images are received as sensor data (REP 2003) with a queue of 1, features are published
    reliably; parameters `qos_overrides` change either. Raises ValueError or OSError for a mask
    that cannot be read.
    """

    content = 'images'
    speed_advice = (
        '. To process more, reduce max_image_size or max_keypoints, or use '
        'weights:=superpoint_nano; to drop less, lower the rate of the camera'
    )

    def __init__(
        self,
        node: ProcessingNode,
        name: str,
        settings: CameraSettings,
        depth: DepthInput,
        mask_path: str,
        worker: Worker,
    ):
        self._is_compressed = settings.image_transport == 'compressed'
        prefix = f'{name}/' if name else ''
        kind, image, topic = Image, f'{prefix}image', ''
        if self._is_compressed:
            # As image_transport does it: remapping the image remaps its compressed form, too.
            kind, topic = CompressedImage, f'{node.resolve_topic_name(image)}/compressed'
        qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        super().__init__(node, kind, image, qos, topic)
        self.worker = worker
        self._lazy = settings.lazy
        self.mask = read_mask(mask_path) if mask_path else None
        """uint8 (H, W), 0 where no keypoints are allowed; None allows them everywhere."""
        if settings.normalized_coordinates or depth.depth_source != 'none':
            is_rectified = depth.rectified or depth.depth_source == 'stereo'
            self.calibration = CalibrationTopic(node, f'{prefix}camera_info', is_rectified)
        self._has_directions = settings.normalized_coordinates
        self.depth_source: DepthSource | None = None
        """Source of the depths of the keypoints; None without."""
        self.needed_by: Camera | None = None
        """Camera that needs the images of this one for its depths; None without."""
        self.on_frame: Callable[[CameraFrame], None] = self.enqueue
        """Gets each frame received; what replaces it must call `enqueue` for each, later."""
        # `watch` follows the demand, too: not every RMW implementation reports subscribers.
        on_match = (lambda _: self.follow_demand()) if settings.lazy else None
        self.features = node.publisher(PointCloud2, f'{prefix}features', 10, on_match)
        self._overlay = node.publisher(Image, f'{prefix}features/overlay', 1, on_match)

    @property
    def loss_advice(self) -> str:
        """Return a further remedy for lost images; empty if they are compressed already."""
        return '' if self._is_compressed else '; use image_transport:=compressed'

    def start(self) -> None:
        """Begin to receive images and calibrations."""
        if self.depth_source:
            self.depth_source.pairs.start()
        super().start()

    def stop(self) -> None:
        """Stop receiving, and forget frames that wait for a partner."""
        if self.depth_source:
            self.depth_source.pairs.stop()
        super().stop()

    def watch(self) -> None:
        """Check the topics of images and calibrations, and the pairs of a depth source."""
        if self.depth_source:
            self.depth_source.check()
        super().watch()

    def is_wanted(self) -> bool:
        """Return whether images are needed: if lazy, while features have a subscriber."""
        if self.needed_by is not None and self.needed_by.is_wanted():
            return True
        has_overlay = self.node.parameters.of(FeatureOutput).overlay
        publishers = (self.features, self._overlay) if has_overlay else (self.features,)
        return not self._lazy or any(each.get_subscription_count() for each in publishers)

    def trouble(self) -> str:
        """Return why depths or coordinates cannot be computed; empty if they can."""
        summary = self.statistics.summary(time.monotonic())
        if summary.problem and not summary.rate:
            return ''  # without a usable image, neither has been tried
        reason = self.depth_source.trouble() if self.depth_source else ''
        return reason or (self.calibration.trouble if self._positions_wanted() else '')

    def note(self) -> str:
        """Return why no images are received, although nothing is wrong."""
        is_idle = self._is_started and self._subscription is None
        return 'the features have no subscriber' if is_idle else super().note()

    def _diagnose(self) -> str:
        reason = super()._diagnose()
        publishers = self.node.get_publishers_info_by_topic(self._unresolved)
        if type_name(self._type) in {each.topic_type for each in publishers}:
            return reason
        transport, kind = (
            ('raw', Image) if self._is_compressed else ('compressed', CompressedImage)
        )
        others = published_topics(self.node, kind)
        if not others:
            return reason
        images = ', '.join(topic.removesuffix('/compressed') for topic in others)
        return f'{reason}; set image_transport:={transport} for {transport} images on {images}'

    def _remap_target(self, topic: str) -> str:
        return topic.removesuffix('/compressed') if self._is_compressed else topic

    def _receive(self, message: Image | CompressedImage) -> None:
        self.on_frame(CameraFrame(message, time.monotonic(), key=stamp_key(message)))

    def enqueue(self, frame: CameraFrame) -> None:
        """Pass a frame to the worker."""
        replaces = self.worker.put(self, frame, frame.key)
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

    def add_depths(self, frame: CameraFrame, settings: DepthSettings) -> None:
        """Give the features of a frame depths, if there is a source."""
        if self.depth_source is not None:
            start = time.perf_counter()
            depths = self.depth_source.depths(frame, settings)
            frame.features = replace(frame.features, depths=depths)
            frame.stages['depth'] = time.perf_counter() - start

    def _positions_wanted(self) -> bool:
        return self._has_directions or self.depth_source is not None

    def publish(
        self, frame: CameraFrame, settings: DetectionSettings, output: FeatureOutput
    ) -> None:
        """Publish the features of a frame, and its overlay if it has a subscriber."""
        start = time.perf_counter()
        features, header = frame.features, frame.message.header
        normalized = None
        if self._positions_wanted():
            size = frame.gray.shape[::-1]
            normalized = self.calibration.normalize(features.keypoints, size)
            if not self._has_directions:
                normalized[~features.depths.known] = np.nan
        covariances = None
        if output.covariances:
            covariances = keypoint_covariances(frame.gray, features.keypoints, settings)
        self.features.publish(
            features_to_message(
                features, header, output.descriptor_format, normalized, covariances
            )
        )
        frame.stages['publishing'] = time.perf_counter() - start
        now = time.monotonic()
        self.statistics.add_frame(now, frame.stages, self.age(frame.message), len(features))
        if output.overlay and self._overlay.get_subscription_count() > 0:
            self._overlay.publish(image_message(draw_keypoints(frame.gray, features), header))


Frames = Sequence[tuple[Camera, CameraFrame]]


def process_frames(
    frames: Frames,
    detector: Detector,
    settings: DetectionSettings,
    depth_settings: DepthSettings,
    output: FeatureOutput,
) -> int:
    """
    Publish the features of the newest frames of some cameras; return how many were published.

    Bad frames are reported by their cameras; raises what the network raises.
    """
    readable = [(camera, frame) for camera, frame in frames if camera.read(frame)]
    if not readable:
        return 0
    start = time.perf_counter()
    _detect(readable, detector, settings)
    elapsed = time.perf_counter() - start
    done = [(camera, frame) for camera, frame in readable if frame.features is not None]
    for camera, frame in done:
        frame.stages['inference'] = elapsed
        camera.add_depths(frame, depth_settings)
        camera.publish(frame, settings, output)
    return len(done)


def _detect(frames: Frames, detector: Detector, settings: DetectionSettings) -> None:
    """Find the features of each frame; report those whose size or mask is refused."""
    images = [frame.gray for _, frame in frames]
    masks = [camera.mask for camera, _ in frames]
    try:
        found = detector(images, masks, settings)
    except ValueError as error:
        if len(frames) == 1:
            frames[0][0].report_bad_message(error, 'image')
        else:  # the others may be good
            for each in frames:
                _detect([each], detector, settings)
        return
    for (_, frame), features in zip(frames, found, strict=True):
        frame.features = features
