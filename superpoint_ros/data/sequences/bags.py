# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Bags of ROS 2 (sqlite3, mcap) and of ROS 1 as sequences, read without ROS by `rosbags`.

Images come from one topic, the calibration from `camera_info` in the same namespace, and true
poses, if there are any, from a topic of `geometry_msgs/PoseStamped` or `nav_msgs/Odometry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
from itertools import islice
import logging
from pathlib import Path
from typing import Any

import numpy as np

from superpoint_ros.data.image_encodings import gray_from_compressed, gray_from_message
from superpoint_ros.data.sequences.image_files import convert_color, IMAGE_SUFFIXES
from superpoint_ros.data.sequences.mcap_topics import (
    describe_left_out,
    NoRosTopicsError,
    RosTopicsPath,
)
from superpoint_ros.data.sequences.sequence import (
    DEFAULT_RATE,
    Frame,
    GroundTruth,
    with_known_size,
)
from superpoint_ros.geometry.camera_model import CameraModel

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POSES = ('geometry_msgs/msg/PoseStamped', 'nav_msgs/msg/Odometry')
DEFAULT_TRUTH = '/ground_truth/pose'
"""End of the name of the topic with the true poses, unless another is given."""

SUFFIXES = ('.db3', '.mcap', '.zstd')
ROS_1 = '.bag'
"""Suffix of the bags of ROS 1."""

_REPAIRS = {
    '.mcap': 'if the recording was cut off, try: mcap recover {path} --output repaired.mcap',
    '.db3': 'if the recording was cut off, try: sqlite3 {path} .recover | sqlite3 repaired.db3',
    ROS_1: 'if the recording was cut off, try: rosbag reindex {path}',
    '': 'if metadata.yaml is wrong, try: ros2 bag reindex {path}; if a recording was cut off, '
    'give its files one by one: the error of the damaged one names the repair',
}
_ZSTD = b'\x28\xb5\x2f\xfd'  # first bytes of data that are compressed by Zstandard
_CALIBRATIONS_TRIED = 10  # messages of camera_info of which the first valid one is used

_log = logging.getLogger(__name__)


def is_bag(path: Path) -> bool:
    """
    Return whether a path looks like a bag.

    That is a folder with metadata.yaml or with files of a bag and no images, or a file that is
    named like one.
    """
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or bool(_storage_files(path))
    return path.suffix in (*SUFFIXES, ROS_1) and path.is_file()


def _storage_files(folder: Path) -> list[Path]:
    """Return the files of a bag in a folder, none if it has images."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if any(path.suffix.lower() in IMAGE_SUFFIXES for path in files):
        return []
    return [path for path in files if path.suffix in SUFFIXES]


@contextlib.contextmanager
def open_bag(path: str | Path, ros_1: bool = False) -> Iterator[Any]:
    """
    Open a bag as a reader of `rosbags` whose errors are ValueErrors that name the bag.

    A folder without metadata.yaml is read if it has a single file; bags of ROS 1 are opened only
    with `ros_1`. Raises FileNotFoundError if there is no bag, ValueError if it cannot be read or
    its metadata.yaml contradicts the files.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'there is no bag {path}')
    if path.suffix == ROS_1 and path.is_file() and not ros_1:
        raise ValueError(
            f'{path} is a bag of ROS 1: convert it with `rosbags-convert --src {path} '
            f'--dst {path.with_suffix("")}` and give the new folder'
        )
    if not is_bag(path):
        raise ValueError(
            f'{path} is not a bag: give the folder with metadata.yaml, or a .db3 or .mcap file'
        )
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        files = _storage_files(path)
        if len(files) > 1:
            raise ValueError(
                f'{path} has no metadata.yaml: give one of its files, such as {files[0]}, or '
                f'write it with `ros2 bag reindex {path}`'
            )
        path = files[0]
    if path.suffix == '.zstd':
        raise ValueError(
            f'{path} is compressed: give the folder with metadata.yaml, or unpack it with '
            f'`zstd -d {path}` and give the result'
        )
    try:
        reader = _open_reader(path)
    except ModuleNotFoundError as error:
        raise ValueError(
            'bags are read by the library rosbags: pip install rosbags pyyaml'
        ) from error
    with contextlib.closing(reader):
        for connection in reader.connections:
            if connection.msgcount and next(reader.messages([connection]), None) is None:
                raise ValueError(
                    f'the bag {path} cannot be read: metadata.yaml lists {connection.msgcount} '
                    f'messages on {connection.topic}, its files have none that fits (type or QoS '
                    f'differ); try: ros2 bag reindex {path}'
                )
        yield reader


def _open_reader(path: Path) -> Any:
    """
    Return the opened reader of a bag, with a method `deserialize(data, message_type)`.

    It has the standard definitions of messages. Those in the bag are not read: older bags have
    none, and a single one that cannot be parsed would make the bag unreadable. Its `left_out` are
    the connections in other formats than ROS 2, which `connections` does not contain.
    """
    from rosbags import rosbag1, rosbag2
    from rosbags.typesys import get_typestore, Stores

    repair = _REPAIRS['' if path.is_dir() else path.suffix].format(path=path)
    is_ros_1 = path.suffix == ROS_1 and path.is_file()
    store = get_typestore(Stores.ROS1_NOETIC if is_ros_1 else Stores.ROS2_JAZZY)

    class Reader((rosbag1 if is_ros_1 else rosbag2).Reader):
        """Reader that raises only ValueError, whatever library finds the damage."""

        left_out: tuple[Any, ...] = ()

        def messages(self, *arguments, **options):
            try:
                yield from super().messages(*arguments, **options)
            except Exception as error:
                raise ValueError(f'the bag {path} cannot be read: {error}; {repair}') from error

        def deserialize(self, data, message_type):
            read = store.deserialize_ros1 if is_ros_1 else store.deserialize_cdr
            try:
                return read(data, message_type)
            except Exception as error:
                hint = ''
                if bytes(data[:4]) == _ZSTD:
                    hint = '; it is compressed: the bag must have a metadata.yaml that tells this'
                raise ValueError(
                    f'a message of {len(data)} bytes is not a {message_type}: {error}{hint}'
                ) from error

        @property
        def message_count(self):
            return super().message_count - sum(each.msgcount for each in self.left_out)

    try:
        reader = Reader(path if is_ros_1 else RosTopicsPath(path))
        reader.open()
    except NoRosTopicsError:
        raise
    except Exception as error:
        raise ValueError(f'the bag {path} cannot be read: {error}; {repair}') from error
    if not is_ros_1:
        reader.left_out = tuple(each for each in reader.connections if not _is_of_ros_2(each))
        reader.connections[:] = filter(_is_of_ros_2, reader.connections)
        # The files of a split bag may be listed in any order.
        files = getattr(reader.storage, 'storages', [])
        files.sort(key=lambda file: file.metadata.start_time)
    return reader


def _is_of_ros_2(connection: Any) -> bool:
    """Return whether the messages of a connection are serialized as in ROS 2."""
    return connection.ext.serialization_format == 'cdr'


def seconds_of(stamp: Any) -> float:
    """Return the time stamp of a message in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def image_topics(reader: Any) -> list[str]:
    """Return the names of the topics of images in a bag, without compressed depth images."""
    return sorted(
        name
        for name, topic in reader.topics.items()
        if topic.msgtype in (IMAGE, COMPRESSED) and not name.endswith('/compressedDepth')
    )


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


class BagSequence:
    """
    Frames of one topic of a bag, gray.

    `topic` may be omitted if the bag has the images of a single camera. `truth_topic` has the true
    poses of the camera, by default the one that ends in `DEFAULT_TRUTH`. Stamps are those of the
    headers. Messages that cannot be read are left out with a warning that names topic and message.
    Raises ValueError if a topic does not exist or has another type.
    """

    def __init__(
        self,
        path: str | Path,
        topic: str | None = None,
        truth_topic: str | None = None,
        color: bool = False,
    ):
        self.path, self._color = Path(path), color
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
            self.truth = self._read_truth(reader, truth_topic)
            seconds = reader.duration * 1e-9
        is_timed = self.count > 1 and seconds > 0
        self.rate = (self.count - 1) / seconds if is_timed else DEFAULT_RATE

    def _only_topic(self, reader: Any) -> str:
        """Return the only topic of images; raise ValueError if there is none or several."""
        topics = without_transports(image_topics(reader))
        if len(topics) != 1:
            problem = f'several topics of images, give one of them: {", ".join(topics)}'
            raise ValueError(f'{self.path} has {problem if topics else "no topic of images"}')
        return topics[0]

    def _read_camera(self, reader: Any, topic: str) -> CameraModel | None:
        """Return the first valid calibration on a topic, None if there is none."""
        known = reader.topics.get(topic)
        if known is None or known.msgtype != CAMERA_INFO:
            return None
        for number, info in islice(self._messages(reader, topic), _CALIBRATIONS_TRIED):
            # The fields have capital letters in ROS 1.
            k, d = (info.k, info.d) if hasattr(info, 'k') else (info.K, info.D)
            if not k[0] > 0:
                return None  # the driver has no calibration
            try:
                matrix = np.array(k, float).reshape(3, 3)
                size = (info.width, info.height)
                return with_known_size(CameraModel(info.distortion_model, matrix, d, size))
            except ValueError as error:
                self._warn(topic, number, f'the calibration is left out: {error}')
        return None

    def _read_truth(self, reader: Any, topic: str | None) -> GroundTruth:
        """Return the true poses in the bag, of which there may be none."""
        if topic is None:
            named = [name for name in reader.topics if name.endswith(DEFAULT_TRUTH)]
            topic = named[0] if len(named) == 1 else ''
        elif topic not in reader.topics:
            raise ValueError(f'{self.path} has no topic {topic}')
        if topic and reader.topics[topic].msgtype not in POSES:
            raise ValueError(f'{topic} must have the type {" or ".join(POSES)}')
        rows = []
        for _, message in self._messages(reader, topic) if topic else ():
            pose = message.pose if message.__msgtype__ == POSES[0] else message.pose.pose
            position = [getattr(pose.position, axis) for axis in 'xyz']
            quaternion = [getattr(pose.orientation, axis) for axis in 'xyzw']
            rows.append([seconds_of(message.header.stamp), *position, *quaternion])
        return GroundTruth(rows, f'{self.path}, topic {topic}')

    def __iter__(self) -> Iterator[Frame]:
        is_empty = True
        with open_bag(self.path, ros_1=True) as reader:
            for number, message in self._messages(reader, self.topic):
                try:
                    image = gray_of(message)
                except ValueError as error:
                    self._warn(self.topic, number, f'skipped: {error}')
                    continue
                image = convert_color(image, self._color)
                is_empty = False
                recorded = message.header.stamp
                stamp = seconds_of(recorded)
                exact = recorded.sec * 1_000_000_000 + recorded.nanosec
                pose = self.truth.at(stamp)
                yield Frame(image, stamp, f'{number:06d}', pose=pose, nanoseconds=exact)
        if is_empty:
            raise ValueError(f'{self.path} has no image on {self.topic} that can be read')

    def _messages(self, reader: Any, topic: str) -> Iterator[tuple[int, Any]]:
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
                '%s, topic %s: %d messages could be read, %d are listed',
                self.path,
                topic,
                number + 1,
                count,
            )

    def _warn(self, topic: str, number: int, text: str) -> None:
        """Log what is wrong with a message."""
        _log.warning('%s, topic %s, message %d: %s', self.path, topic, number, text)
