# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Features for recorded images: a bag in, the same bag with the messages of the detector node out.

No node runs and no middleware is started. Messages are made by `feature_messages`; `rosbags`
serialises them, with zeros where a publisher leaves bytes between two fields as they were: the
same bag always comes out the same. What was in the bag is copied byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import shutil
from typing import Any

import numpy as np
from std_msgs.msg import Header

from superpoint_ros import __version__
from superpoint_ros.data.image_encodings import ImageMessageError
from superpoint_ros.data.sequences.bags import (
    CAMERA_INFO,
    gray_of,
    image_topics,
    info_topic_of,
    open_bag,
)
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError
from superpoint_ros.model.superpoint import SMALLEST_SIDE
from superpoint_ros.ros.bag_topics import choose_topics
from superpoint_ros.ros.messages.feature_messages import features_to_message
from superpoint_ros.ros.messages.rosbags_messages import as_recorded, features_qos, FEATURES_TYPE

STORAGES = ('mcap', 'sqlite3')
Complain = Callable[[str], None]


@dataclass(frozen=True)
class BagOptions:
    """
    Say how a bag is processed.

    `topics` are those of the images, each by itself or as 'images:features'; none means all.
    `descriptor_format`, `normalized` and `mask` (H, W) are as the node's parameters
    descriptor_format, normalized_coordinates and mask. So many images go through the network
    together as `batch` says. `storage` is one of `STORAGES`, empty for that of the bag.
    """

    topics: Sequence[str] = ()
    descriptor_format: str = 'float32'
    normalized: bool = False
    mask: np.ndarray | None = None
    batch: int = 1
    storage: str = ''


@dataclass
class Summary:
    """What was done: images of which features were found, those that were bad, and how long."""

    images: int = 0
    bad: int = 0
    keypoints: int = 0
    seconds: float = 0.0
    """From the bag's first message to its last."""
    topics: dict[str, str] = field(default_factory=dict)


def process_bag(
    source: str | Path,
    target: str | Path,
    detector: Detector,
    options: BagOptions | None = None,
    on_image: Callable[[], object] = lambda: None,
    complain: Complain = lambda text: None,
) -> Summary:
    """
    Return what was done, once `target` is a bag of all that `source` has, and of the features.

    Features are recorded right after their image, at its time, with its header. The bag is made
    beside `target` and put there when it is whole: a run that is broken off leaves nothing there.
    `on_image` is called after each image, `complain` with a line about each that is bad. Raises
    FileNotFoundError, FileExistsError and ValueError for what cannot be.
    """
    source, target, options = Path(source), Path(target), options or BagOptions()
    if options.batch < 1:
        raise ValueError(f'the batch must be 1 image or more, got {options.batch}')
    if options.storage not in ('', *STORAGES):
        raise ValueError(f'the storage must be {" or ".join(STORAGES)}, got {options.storage!r}')
    if target.exists():
        raise FileExistsError(f'{target} is there already: remove it, or name another')
    workshop = target.with_name(f'.{target.name}.partial')
    shutil.rmtree(workshop, ignore_errors=True)  # of a run that was killed
    try:
        with open_bag(source) as reader:
            workshop.mkdir(parents=True)
            job = _Job(reader, detector, options, on_image, complain)
            job.run(workshop / target.name, options.storage or _storage_of(source))
        (workshop / target.name).rename(target)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return job.summary


def _storage_of(source: Path) -> str:
    """Return how the bag is stored."""
    files = [source] if source.is_file() else list(source.iterdir())
    return 'mcap' if any('.mcap' in file.suffixes for file in files) else 'sqlite3'


@dataclass
class _Entry:
    """A message of the bag, which is to be written; with its image, if it has one."""

    connection: Any
    timestamp: int
    data: bytes
    topic: str = ''
    message: Any = None
    image: np.ndarray | None = None


class _Job:
    """One bag that is being processed."""

    def __init__(self, reader, detector: Detector, options: BagOptions, on_image, complain):
        self._reader, self._detector, self._options = reader, detector, options
        self._on_image, self._complain = on_image, complain
        topics = choose_topics(image_topics(reader), options.topics)
        for name in topics.values():
            if name in reader.topics:
                raise ValueError(
                    f'the bag has a topic {name} already: name another, as in '
                    f'--topics {next(iter(topics))}:{name}_2'
                )
        self.summary = Summary(topics=topics, seconds=reader.duration * 1e-9)
        self._infos = {topic: info_topic_of(topic) for topic in topics}
        self._calibrations: dict[str, Any] = {}
        if options.normalized:
            self._read_first_calibrations()

    def run(self, path: Path, storage: str) -> None:
        """Write the new bag."""
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import get_typestore, Stores

        self._store = get_typestore(Stores.ROS2_JAZZY)
        plugin = StoragePlugin[storage.upper()]
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            self._writer = writer
            weights = self._detector.weights
            made_by = f'superpoint_ros {__version__}, {weights.name if weights else "no file"}'
            writer.set_custom_data('features', made_by)
            copies = {
                connection.id: self._copy_connection(connection)
                for connection in self._reader.connections
            }
            self._features = {
                topic: self._add_features(name) for topic, name in self.summary.topics.items()
            }
            waiting: list[_Entry] = []
            for connection, timestamp, data in self._reader.messages():
                entry = _Entry(copies[connection.id], timestamp, data)
                if connection.topic in self.summary.topics:
                    self._read_image(entry, connection)
                elif self._options.normalized and connection.topic in self._infos.values():
                    self._note_calibration(connection, data)
                waiting.append(entry)
                if sum(each.image is not None for each in waiting) >= self._options.batch:
                    self._finish(waiting)
                    waiting = []
            self._finish(waiting)

    def _copy_connection(self, connection: Any) -> Any:
        """Return the connection of the new bag that takes the messages of one of the old."""
        definition: dict[str, Any] = {'typestore': self._reader.typestore}
        if connection.msgdef.data and connection.digest:
            definition = {'msgdef': connection.msgdef.data, 'rihs01': connection.digest}
        elif connection.msgtype not in self._reader.typestore.fielddefs:
            # Of an older bag, which holds no definitions: what it does not say stays unsaid.
            definition = {'msgdef': '# not recorded', 'rihs01': f'RIHS01_{0:064x}'}
        return self._writer.add_connection(
            connection.topic,
            connection.msgtype,
            serialization_format=connection.ext.serialization_format,
            offered_qos_profiles=connection.ext.offered_qos_profiles,
            **definition,
        )

    def _add_features(self, name: str) -> Any:
        """Return the connection for features: reliable, a queue of 10, as the node has it."""
        return self._writer.add_connection(
            name,
            FEATURES_TYPE,
            typestore=self._store,
            offered_qos_profiles=[features_qos()],
        )

    def _read_image(self, entry: _Entry, connection: Any) -> None:
        """Put message and image into the entry; without an image, after a complaint, if bad."""
        message = self._reader.deserialize(entry.data, connection.msgtype)
        try:
            image = gray_of(message)
            height, width = image.shape
            if min(image.shape) < SMALLEST_SIDE:
                raise ImageMessageError('size', f'an image of {width}x{height} is too small')
            mask = self._options.mask
            if mask is not None and mask.shape != image.shape:
                size = f'{mask.shape[1]}x{mask.shape[0]}'
                raise ImageMessageError('mask', f'{width}x{height} does not fit a mask of {size}')
        except ImageMessageError as error:
            self.summary.bad += 1
            stamp = message.header.stamp
            self._complain(f'{connection.topic} at {stamp.sec}.{stamp.nanosec:09d}: {error}')
            self._on_image()
            return
        # The calibration that the node would have by now.
        calibration = self._calibrations.get(self._infos[connection.topic])
        entry.topic, entry.image, entry.message = connection.topic, image, (message, calibration)

    def _finish(self, entries: Sequence[_Entry]) -> None:
        """Write the messages, and the features of those with images after them."""
        images = [entry.image for entry in entries if entry.image is not None]
        found = iter(self._detector(images, self._options.mask) if images else [])
        for entry in entries:
            self._writer.write(entry.connection, entry.timestamp, entry.data)
            if entry.image is None:
                continue
            features = next(found)
            data = self._serialised(entry, features)
            self._writer.write(self._features[entry.topic], entry.timestamp, data)
            self.summary.images += 1
            self.summary.keypoints += len(features)
            self._on_image()

    def _serialised(self, entry: _Entry, features: Features) -> bytes:
        """Return the message with the features, as the node would send it."""
        message, calibration = entry.message
        header = Header(frame_id=message.header.frame_id)
        header.stamp.sec, header.stamp.nanosec = (
            message.header.stamp.sec,
            message.header.stamp.nanosec,
        )
        normalized = None
        if self._options.normalized:
            normalized = _normalize(calibration, features.keypoints, entry.image.shape[::-1])
        made = features_to_message(features, header, self._options.descriptor_format, normalized)
        return self._store.serialize_cdr(as_recorded(made, self._store.types), FEATURES_TYPE)

    def _read_first_calibrations(self) -> None:
        """Note the first calibration of each camera: it is that of earlier images, too."""
        for topic, info_topic in self._infos.items():
            connections = [
                each
                for each in self._reader.connections
                if each.topic == info_topic and each.msgtype == CAMERA_INFO
            ]
            first = next(self._reader.messages(connections), None) if connections else None
            if first is None:
                raise ValueError(f'there is no calibration for {topic}: no {info_topic}')
            self._note_calibration(first[0], first[2])

    def _note_calibration(self, connection: Any, data: bytes) -> None:
        """Note the newest calibration of a camera; None of one that cannot be used."""
        message = self._reader.deserialize(data, connection.msgtype)
        try:
            model = CameraModel.from_message(message)
        except CameraModelError as error:
            self._complain(f'{connection.topic}: {error}')
            model = None
        self._calibrations[connection.topic] = model


def _normalize(
    model: CameraModel | None, keypoints: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Return normalised coordinates (N, 2), not-a-number where there is no fitting calibration."""
    if model is not None:
        try:
            return model.normalize(keypoints, size)
        except CameraModelError:
            pass
    return np.full((len(keypoints), 2), np.nan, np.float32)
