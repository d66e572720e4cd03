# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Features for recorded images: copy a bag and add the messages that the detector node publishes.

Neither a node nor DDS is started. `feature_messages` makes the messages and `rosbags` serializes
them, with zeros as padding: equal input gives equal output. Other messages are copied bytewise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import sqlite3
from typing import Any

import numpy as np
from std_msgs.msg import Header

from superpoint_ros import __version__
from superpoint_ros.common.file_writing import unfinished_folder
from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.bag_reader import open_bag
from superpoint_ros.data.sequences.bags import (
    CAMERA_INFO,
    gray_of,
    image_topics,
    info_topic_of,
)
from superpoint_ros.data.sequences.mcap_topics import describe_left_out
from superpoint_ros.detection.preprocessing import check_masks, to_gray
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError
from superpoint_ros.ros.bags.bag_options import BagOptions, choose_topics
from superpoint_ros.ros.bags.bag_writing import (
    as_recorded,
    definition_of,
    features_qos,
    FEATURES_TYPE,
    make_writer,
    storage_of,
)
from superpoint_ros.ros.messages.feature_messages import features_to_message

Warn = Callable[[str], None]


@dataclass
class BagSummary:
    """
    Numbers of a processed bag.

    Attributes:
        images: number of images with features.
        bad: number of images that could not be used.
        left_out: number of messages in other formats than ROS 2, which are not copied.
        keypoints: number of keypoints of all images.
        seconds: time from the bag's first message to its last.
        topics: topic of the features by topic of the images.

    """

    images: int = 0
    bad: int = 0
    left_out: int = 0
    keypoints: int = 0
    seconds: float = 0.0
    topics: dict[str, str] = field(default_factory=dict)


def process_bag(
    source: str | Path,
    target: str | Path,
    detector: Detector,
    options: BagOptions | None = None,
    on_image: Callable[[], object] = lambda: None,
    warn: Warn = lambda text: None,
) -> BagSummary:
    """
    Write a bag `target` with all messages of `source` and the features; return a summary.

    Features are recorded directly after their image, with its time and header. Messages in other
    formats than ROS 2 (JSON, Protobuf) are left out. The bag is written next to `target` and
    renamed when it is complete: an interrupted run leaves nothing there. `on_image` is called
    after each image, `warn` with a line about what is left out and about bad messages, once per
    topic and reason. Raises FileNotFoundError, FileExistsError, ValueError for unknown topics, a
    mask that does not have the size of a topic's first image, or a bag that cannot be read, or
    OSError that names the target if it cannot be written.
    """
    source, target, options = Path(source), Path(target), options or BagOptions()
    if target.exists():
        raise FileExistsError(f'{target} already exists: remove it, or choose another name')
    try:
        with open_bag(source) as reader, unfinished_folder(target) as folder:
            storage = storage_of(source) if options.storage == 'same' else options.storage
            with make_writer(folder / target.name, storage) as writer:
                job = _Job(reader, writer, detector, options, on_image, warn)
                job.copy_messages()
            job.check(folder / target.name)
            (folder / target.name).rename(target)
    except (sqlite3.Error, OSError) as error:  # of writing, as those of reading are ValueErrors
        if isinstance(error, OSError) and (error.filename or error.errno is None):
            raise  # it names the file
        raise OSError(f'{target} cannot be written: {error}') from error
    return job.summary


@dataclass
class _Entry:
    """
    A message to be written, with its image if it has one.

    Attributes:
        connection: the new bag's connection.
        timestamp: time of the recording in nanoseconds.
        data: the serialized message.
        topic: topic of the image.
        message: the image message.
        image: its gray pixels, uint8 (H, W).
        calibration: that of its camera, None if it is unknown.

    """

    connection: Any
    timestamp: int
    data: bytes
    topic: str = ''
    message: Any = None
    image: np.ndarray | None = None
    calibration: CameraModel | None = None


class _Job:
    """
    The processing of one bag, from an opened reader to an opened writer.

    The new bag gets its connections at once: those of the old one, then those of the features.
    """

    def __init__(self, reader, writer, detector: Detector, options: BagOptions, on_image, warn):
        from rosbags.typesys import get_typestore, Stores

        self._reader, self._writer = reader, writer
        self._detector, self._options = detector, options
        self._on_image, self._warn = on_image, warn
        topics = choose_topics(image_topics(reader), options.topics)
        for name in topics.values():
            if name in reader.topics:
                raise ValueError(
                    f'the bag already has a topic {name}: choose another, as in '
                    f'--topics {next(iter(topics))}:{name}_2'
                )
        self.summary = BagSummary(topics=topics, seconds=reader.duration * 1e-9)
        for connection in reader.left_out:
            self.summary.left_out += connection.msgcount
            warn(describe_left_out(connection))
        self._infos = {topic: info_topic_of(topic) for topic in topics}
        self._calibrations: dict[str, CameraModel | None] = {}
        self._copied = 0
        self._bad: Counter[tuple[str, str]] = Counter()
        self._used: set[str] = set()  # topics with an image that could be used
        if options.normalized_coordinates:
            self._read_first_calibrations()
        self._store = get_typestore(Stores.ROS2_JAZZY)
        weights = detector.weights
        made_by = f'superpoint_ros {__version__}, {weights.name if weights else "no file"}'
        writer.set_custom_data('features', made_by)
        self._copies = {each.id: self._copy_connection(each) for each in reader.connections}
        self._features = {topic: self._add_features(name) for topic, name in topics.items()}

    def copy_messages(self) -> None:
        """Copy all messages to the new bag's connections, and add features in batches."""
        waiting: list[_Entry] = []
        images = 0
        for connection, timestamp, data in self._reader.messages():
            entry = _Entry(self._copies[connection.id], timestamp, data)
            if connection.topic in self.summary.topics:
                self._read_image(entry, connection)
            elif self._options.normalized_coordinates and connection.topic in self._infos.values():
                self._keep_calibration(connection, timestamp, data)
            waiting.append(entry)
            images += entry.image is not None
            if images in (0, self._options.batch):  # nothing waits unless an image does
                self._finish(waiting)
                waiting, images = [], 0
        self._finish(waiting)
        for (topic, reason), count in self._bad.items():
            if count > 1:
                self._warn(f'{topic}: {counted(count - 1, "more message")}: {reason}')

    def check(self, path: Path) -> None:
        """Raise ValueError unless all messages were read, and the new bag at `path` has them."""
        if self._copied != self._reader.message_count:
            raise ValueError(
                f'the bag has {counted(self._reader.message_count, "message")} by its metadata, '
                f'but {self._copied} could be read: it is damaged'
            )
        with open_bag(path) as written:
            expected = self._copied + self.summary.images
            if written.message_count != expected:
                raise ValueError(
                    f'the new bag has {counted(written.message_count, "message")} instead of '
                    f'{expected}: nothing is kept of it'
                )

    def _copy_connection(self, connection: Any) -> Any:
        """Return the new bag's connection for the messages of an old one."""
        return self._writer.add_connection(
            connection.topic,
            connection.msgtype,
            serialization_format=connection.ext.serialization_format,
            offered_qos_profiles=connection.ext.offered_qos_profiles,
            **definition_of(connection, self._store),
        )

    def _add_features(self, name: str) -> Any:
        """Return the connection for features, with the QoS of the node: reliable, depth 10."""
        return self._writer.add_connection(
            name,
            FEATURES_TYPE,
            typestore=self._store,
            offered_qos_profiles=[features_qos()],
        )

    def _read_image(self, entry: _Entry, connection: Any) -> None:
        """Put message and image into the entry; warn and leave it without image if it is bad."""
        image = None
        try:
            message = self._reader.deserialize(entry.data, connection.msgtype)
            image = to_gray(gray_of(message))
            check_masks(self._options.mask, [image])
        except ValueError as error:
            if image is not None and connection.topic not in self._used:
                raise ValueError(f'{connection.topic}: {error}') from error
            self.summary.bad += 1
            self._warn_of(connection.topic, entry.timestamp, error)
            self._on_image()
            return
        self._used.add(connection.topic)
        entry.topic, entry.image, entry.message = connection.topic, image, message
        # The calibration that the node would have at this time.
        entry.calibration = self._calibrations.get(self._infos[connection.topic])

    def _finish(self, entries: Sequence[_Entry]) -> None:
        """Write the messages, each image followed by its features."""
        images = [entry.image for entry in entries if entry.image is not None]
        found = iter(self._detector(images, self._options.mask) if images else [])
        for entry in entries:
            self._writer.write(entry.connection, entry.timestamp, entry.data)
            self._copied += 1
            if entry.image is None:
                continue
            features = next(found)
            data = self._serialized(entry, features)
            self._writer.write(self._features[entry.topic], entry.timestamp, data)
            self.summary.images += 1
            self.summary.keypoints += len(features)
            self._on_image()

    def _serialized(self, entry: _Entry, features: Features) -> bytes:
        """Return the serialized message of the features, as the node sends it."""
        recorded = entry.message.header
        header = Header(frame_id=recorded.frame_id)
        header.stamp.sec, header.stamp.nanosec = recorded.stamp.sec, recorded.stamp.nanosec
        normalized = None
        if self._options.normalized_coordinates:
            normalized = self._normalize(entry, features.keypoints)
        made = features_to_message(features, header, self._options.descriptor_format, normalized)
        return self._store.serialize_cdr(as_recorded(made, self._store.types), FEATURES_TYPE)

    def _normalize(self, entry: _Entry, keypoints: np.ndarray) -> np.ndarray:
        """Return normalized coordinates (N, 2), NaN without a calibration of the image's size."""
        try:
            if entry.calibration is not None:
                entry.calibration.check_size(entry.image.shape[::-1])
                return entry.calibration.normalize(keypoints)
        except CameraModelError as error:
            self._warn_of(self._infos[entry.topic], entry.timestamp, error)
        return np.full((len(keypoints), 2), np.nan, np.float32)

    def _read_first_calibrations(self) -> None:
        """Read the first calibration of each camera: it is used for earlier images, too."""
        for topic, info_topic in self._infos.items():
            connections = [
                each
                for each in self._reader.connections
                if each.topic == info_topic and each.msgtype == CAMERA_INFO
            ]
            first = next(self._reader.messages(connections), None) if connections else None
            if first is None:
                raise ValueError(f'there is no calibration for {topic}: no {info_topic}')
            self._keep_calibration(*first)

    def _keep_calibration(self, connection: Any, timestamp: int, data: bytes) -> None:
        """Keep the newest calibration of a camera; None for one that cannot be used."""
        try:
            message = self._reader.deserialize(data, connection.msgtype)
            model = CameraModel.from_message(message)
        except ValueError as error:
            self._warn_of(connection.topic, timestamp, error)
            model = None
        self._calibrations[connection.topic] = model

    def _warn_of(self, topic: str, timestamp: int, error: ValueError) -> None:
        """Warn of the first message of a topic with this error, and count the others."""
        fault = topic, str(error)
        self._bad[fault] += 1
        if self._bad[fault] == 1:
            seconds, nanoseconds = divmod(timestamp, 1_000_000_000)
            self._warn(f'{topic} at {seconds}.{nanoseconds:09d}: {error}')
