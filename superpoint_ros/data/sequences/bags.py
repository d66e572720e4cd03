# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
ROS 2 bags as sequences, in sqlite3 and in mcap, without ROS: by the library `rosbags`.

Images come from one topic; the calibration from the `camera_info` beside it; true poses, where
there are some, from a topic of `geometry_msgs/PoseStamped` or `nav_msgs/Odometry`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import contextlib
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from superpoint_ros.data.image_encodings import gray_from_compressed, gray_from_message
from superpoint_ros.data.sequences.ground_truth import Truth
from superpoint_ros.data.sequences.sequence import Frame, Intrinsics
from superpoint_ros.geometry.rotations import pose_matrix

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POSES = ('geometry_msgs/msg/PoseStamped', 'nav_msgs/msg/Odometry')
DEFAULT_TRUTH = '/ground_truth/pose'
"""How the topic of the true poses ends, unless another is named."""

SUFFIXES = ('.db3', '.mcap')

_log = logging.getLogger(__name__)


def is_bag(path: Path) -> bool:
    """Return whether the path is named like a bag: a folder with metadata, or one of its files."""
    return (path / 'metadata.yaml').is_file() or (path.suffix in SUFFIXES and path.is_file())


@contextlib.contextmanager
def open_bag(path: str | Path) -> Iterator[Any]:
    """
    Give the bag's opened reader, a `rosbags.highlevel.AnyReader`.

    Raises FileNotFoundError where there is none, ValueError where it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'there is no bag {path}')
    if not is_bag(path):
        raise ValueError(
            f'{path} is no ROS 2 bag: give the folder with metadata.yaml, or a .db3 or .mcap file'
        )
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import get_typestore, Stores
    except ModuleNotFoundError as error:
        raise ValueError(
            "bags are read by the library rosbags: pip install 'superpoint_ros[bags]'"
        ) from error
    try:
        # Bags of older versions carry no definitions of their messages.
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except (AnyReaderError, OSError, ValueError, AssertionError) as error:
        raise ValueError(f'the bag {path} cannot be read: {error}') from error
    except Exception as error:
        if type(error).__module__.partition('.')[0] not in ('apsw', 'rosbags', 'struct'):
            raise
        raise ValueError(f'the bag {path} cannot be read: {error}') from error
    with contextlib.closing(reader):
        yield reader


def seconds_of(stamp: Any) -> float:
    """Return a message's time stamp in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def image_topics(reader: Any) -> list[str]:
    """Return the names of the bag's topics of images."""
    types = (IMAGE, COMPRESSED)
    return sorted(name for name, topic in reader.topics.items() if topic.msgtype in types)


def info_topic_of(image_topic: str) -> str:
    """Return where the calibration of a topic's images is: `camera_info` in its namespace."""
    name = image_topic.removesuffix('/compressed')
    return f'{name.rpartition("/")[0]}/camera_info'


def gray_of(message: Any) -> np.ndarray:
    """Return the gray pixels (H, W), uint8, of a message with an image, compressed or not."""
    compressed = message.__msgtype__ == COMPRESSED
    return gray_from_compressed(message) if compressed else gray_from_message(message)


class BagSequence:
    """
    The frames of one topic of a bag, gray.

    `topic` may be left out where the bag has but one of images. `truth_topic` is that of the true
    poses, by default the one that ends in `DEFAULT_TRUTH`; its poses must be those of the camera.
    Stamps are those of the images' headers; frames that cannot be read are named in the log and
    skipped. Raises ValueError where a topic is not there or of another kind.
    """

    def __init__(
        self,
        path: str | Path,
        topic: str | None = None,
        truth_topic: str | None = None,
        color: bool = False,
    ):
        self.path, self._color = Path(path), color
        with open_bag(self.path) as reader:
            self.topic = topic or self._only_topic(reader)
            found = reader.topics.get(self.topic)
            if found is None or found.msgtype not in (IMAGE, COMPRESSED):
                there = ', '.join(image_topics(reader)) or 'none'
                raise ValueError(
                    f'{self.path} has no images on {self.topic}; topics of images: {there}'
                )
            self.count = found.msgcount
            if not self.count:
                raise ValueError(f'{self.path} has no message on {self.topic}')
            self.camera = _camera(reader, info_topic_of(self.topic))
            self.truth = self._read_truth(reader, truth_topic)
            seconds = reader.duration * 1e-9
        self.rate = (self.count - 1) / seconds if self.count > 1 and seconds > 0 else 30.0

    def _only_topic(self, reader: Any) -> str:
        """Return the bag's topic of images; raise ValueError where it has none or several."""
        topics = image_topics(reader)
        if len(topics) != 1:
            what = f'several topics of images, name one of them: {", ".join(topics)}'
            raise ValueError(f'{self.path} has {what if topics else "no topic of images"}')
        return topics[0]

    def _read_truth(self, reader: Any, topic: str | None) -> Truth:
        """Return the true poses in the bag, of which there may be none."""
        if topic is None:
            named = [name for name in reader.topics if name.endswith(DEFAULT_TRUTH)]
            topic = named[0] if len(named) == 1 else ''
        elif topic not in reader.topics:
            raise ValueError(f'{self.path} has no topic {topic}')
        if topic and reader.topics[topic].msgtype not in POSES:
            raise ValueError(f'{topic} must be of {" or ".join(POSES)}')
        stamps, poses = [], []
        for message in _messages(reader, [topic] if topic else []):
            pose = message.pose if message.__msgtype__ == POSES[0] else message.pose.pose
            position = [getattr(pose.position, axis) for axis in 'xyz']
            quaternion = [getattr(pose.orientation, axis) for axis in 'xyzw']
            stamps.append(seconds_of(message.header.stamp))
            poses.append(pose_matrix(position, quaternion))
        return Truth(stamps, poses)

    def __iter__(self) -> Iterator[Frame]:
        with open_bag(self.path) as reader:
            for index, message in enumerate(_messages(reader, [self.topic])):
                stamp = seconds_of(message.header.stamp)
                try:
                    image = gray_of(message)
                except ValueError as error:
                    _log.warning('skipped: %s, image %d: %s', self.topic, index, error)
                    continue
                if self._color:
                    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
                yield Frame(image, stamp, f'{index:06d}', pose=self.truth.at(stamp))


def _messages(reader: Any, topics: Iterable[str]) -> Iterator[Any]:
    """Yield the messages of the topics, in the order in which they were recorded."""
    connections = [each for each in reader.connections if each.topic in topics]
    if connections:  # without any the reader would give all
        for connection, _, data in reader.messages(connections):
            yield reader.deserialize(data, connection.msgtype)


def _camera(reader: Any, topic: str) -> Intrinsics | None:
    """Return the calibration of the first message of a topic, None where it is none."""
    known = reader.topics.get(topic)
    if known is None or known.msgtype != CAMERA_INFO:
        return None
    for info in _messages(reader, [topic]):
        if not info.k[0] > 0:
            return None  # not calibrated
        matrix = np.array(info.k, float).reshape(3, 3)
        return Intrinsics(info.distortion_model, matrix, info.d, (info.width, info.height))
    return None
