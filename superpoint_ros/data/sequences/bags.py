# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Bags of ROS 2 (sqlite3, mcap) and of ROS 1 as sequences, read without ROS by `rosbags`.

Images come from one topic, the calibration from `camera_info` in the same namespace, and true
poses, if there are any, from a topic of `geometry_msgs/PoseStamped` or `nav_msgs/Odometry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
import logging
from pathlib import Path
from typing import Any

import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.data.image_encodings import gray_from_compressed, gray_from_message
from superpoint_ros.data.sequences.bag_reader import BagReader, open_bag
from superpoint_ros.data.sequences.image_files import convert_color
from superpoint_ros.data.sequences.limited_warnings import LimitedWarnings
from superpoint_ros.data.sequences.mcap_topics import describe_left_out
from superpoint_ros.data.sequences.sequence import (
    Frame,
    FrameSequence,
    GroundTruth,
    plausible_rate,
    with_known_size,
)
from superpoint_ros.geometry.camera_model import CameraModel, is_calibrated

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POSES = ('geometry_msgs/msg/PoseStamped', 'nav_msgs/msg/Odometry')
DEFAULT_TRUTH = '/ground_truth/pose'
"""End of the name of the topic with the true poses, unless another is given."""

_CALIBRATIONS_TRIED = 10  # messages of camera_info of which the first valid one is used

_log = logging.getLogger(__name__)


def seconds_of(stamp: Any) -> float:
    """Return the time stamp of a message in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def image_topics(reader: BagReader) -> list[str]:
    """Return the names of the topics of images in a bag, without compressed depth images."""
    return sorted(
        name
        for name, topic in reader.topics.items()
        if topic.msgtype in (IMAGE, COMPRESSED) and not name.endswith('/compressedDepth')
    )


def pose_topics(reader: BagReader) -> list[str]:
    """Return the names of the topics of a bag that may have true poses."""
    return sorted(name for name, topic in reader.topics.items() if topic.msgtype in POSES)


def without_transports(topics: Sequence[str]) -> list[str]:
    """
    Return the topics of images, each camera's images once.

    image_transport publishes the images of `image_raw` also on `image_raw/compressed`,
    `image_raw/zstd` and so on; those are left out if the bag has `image_raw`.
    """
    return [name for name in topics if name.rpartition('/')[0] not in topics]


def info_topic_of(image_topic: str) -> str:
    """Return the topic of the calibration for a topic of images: `camera_info` next to it."""
    name = image_topic.removesuffix('/compressed')
    return f'{name.rpartition("/")[0]}/camera_info'


def gray_of(message: Any) -> np.ndarray:
    """Return the gray pixels (H, W), uint8, of an image message, compressed or not."""
    compressed = message.__msgtype__ == COMPRESSED
    return gray_from_compressed(message) if compressed else gray_from_message(message)


class BagSequence(FrameSequence):
    """
    Frames of one topic of a bag, gray.

    `topic` may be omitted if the bag has the images of a single camera. `truth_topic` has the true
    poses of the camera, by default the one that ends in `DEFAULT_TRUTH`. Stamps are those of the
    headers. Messages that cannot be read are left out with a warning that names topic and message.
    Raises ValueError if a topic does not exist or has another type.
    """

    has_depth = False

    def __init__(
        self,
        path: str | Path,
        topic: str | None = None,
        truth_topic: str | None = None,
        color: bool = False,
    ):
        self.path, self._color = Path(path), color
        self._warnings = LimitedWarnings(_log, self.path)
        with open_bag(self.path, ros_1=True) as reader:
            self.topic = topic or self._only_topic(reader)
            found = reader.topics.get(self.topic)
            if found is None or found.msgtype not in (IMAGE, COMPRESSED):
                topics = ', '.join(image_topics(reader)) or 'none'
                raise ValueError(
                    f'{self.path} has no images on {self.topic}; topics of images: {topics}'
                )
            for connection in reader.left_out:
                _log.warning('%s, left out: %s', self.path, describe_left_out(connection))
            self.count = found.msgcount
            if not self.count:
                raise ValueError(f'{self.path} has no message on {self.topic}')
            self.camera = self._read_camera(reader, info_topic_of(self.topic))
            self.pose_topics = pose_topics(reader)
            self.truth = self._read_truth(reader, truth_topic)
            seconds = reader.duration * 1e-9
        self._warnings.finish()
        self.has_truth = len(self.truth) > 0
        self.rate = plausible_rate((self.count - 1) / seconds if seconds > 0 else 0.0)

    def _only_topic(self, reader: BagReader) -> str:
        """Return the only topic of images; raise ValueError if there is none or several."""
        topics = without_transports(image_topics(reader))
        if len(topics) != 1:
            problem = f'several topics of images, give one of them: {", ".join(topics)}'
            raise ValueError(f'{self.path} has {problem if topics else "no topic of images"}')
        return topics[0]

    def _read_camera(self, reader: BagReader, topic: str) -> CameraModel | None:
        """Return the first valid calibration on a topic, None if there is none."""
        known = reader.topics.get(topic)
        if known is None or known.msgtype != CAMERA_INFO:
            return None
        for number, info in islice(self._messages(reader, topic), _CALIBRATIONS_TRIED):
            if not is_calibrated(info):
                continue
            try:
                return with_known_size(CameraModel.from_message(info).published())
            except ValueError as error:
                self._warn(topic, number, f'the calibration is left out: {error}')
        return None

    def _read_truth(self, reader: BagReader, topic: str | None) -> GroundTruth:
        """Return the true poses in the bag, of which there may be none."""
        if topic is None:
            named = [name for name in self.pose_topics if name.endswith(DEFAULT_TRUTH)]
            topic = named[0] if len(named) == 1 else ''
        elif topic not in self.pose_topics:
            topics = ', '.join(self.pose_topics) or 'none'
            raise ValueError(
                f'{self.path} has no poses ({" or ".join(POSES)}) on {topic}; '
                f'topics of poses: {topics}'
            )
        rows = []
        for _, message in self._messages(reader, topic) if topic else ():
            pose = message.pose if message.__msgtype__ == POSES[0] else message.pose.pose
            position = [getattr(pose.position, axis) for axis in 'xyz']
            quaternion = [getattr(pose.orientation, axis) for axis in 'xyzw']
            rows.append([seconds_of(message.header.stamp), *position, *quaternion])
        return GroundTruth(rows, f'{self.path}, topic {topic}')

    def __iter__(self) -> Iterator[Frame]:
        is_empty = True
        try:
            for frame in self._frames():
                is_empty = False
                yield frame
        finally:
            self._warnings.finish()
        if is_empty:
            raise ValueError(f'{self.path} has no image on {self.topic} that can be read')

    def _frames(self) -> Iterator[Frame]:
        """Yield the frames of the images that can be read."""
        with open_bag(self.path, ros_1=True) as reader:
            for number, message in self._messages(reader, self.topic):
                try:
                    image = gray_of(message)
                except ValueError as error:
                    self._warn(self.topic, number, f'skipped: {error}')
                    continue
                image = convert_color(image, self._color)
                recorded = message.header.stamp
                stamp = seconds_of(recorded)
                exact = recorded.sec * 1_000_000_000 + recorded.nanosec
                pose = self.truth.at(stamp)
                yield Frame(image, stamp, f'{number:06d}', pose=pose, nanoseconds=exact)

    def _messages(self, reader: BagReader, topic: str) -> Iterator[tuple[int, Any]]:
        """Yield the numbers, from 0, and messages of a topic, in the order of the recording."""
        connections = [each for each in reader.connections if each.topic == topic]
        number = -1
        for number, (connection, _, data) in enumerate(reader.messages(connections)):
            try:
                message = reader.deserialize(data, connection.msgtype)
            except ValueError as error:
                self._warn(topic, number, f'skipped: {error}')
                continue
            yield number, message
        count = sum(each.msgcount for each in connections)
        if number + 1 != count:
            _log.warning(
                '%s, topic %s: %s could be read instead of the %d listed',
                self.path,
                topic,
                counted(number + 1, 'message'),
                count,
            )

    def _warn(self, topic: str, number: int, text: str) -> None:
        """Log what is wrong with a message."""
        self._warnings.warn(f'%s, topic {topic}, message %d: %s', self.path, number, text)
