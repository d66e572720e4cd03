# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of ROS 2 and ROS 1: what is one, and a reader with clear errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
import contextlib
from pathlib import Path
from shlex import quote
from typing import Any

from superpoint_ros.common.file_reading import is_found
from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.image_files import IMAGE_SUFFIXES
from superpoint_ros.data.sequences.mcap_topics import NoRosTopicsError, RosTopicsPath

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
    files = sorted(path for path in folder.iterdir() if is_found(path) and path.is_file())
    if any(path.suffix.lower() in IMAGE_SUFFIXES for path in files):
        return []
    return [path for path in files if path.suffix in SUFFIXES]


@contextlib.contextmanager
def open_bag(path: str | Path, ros_1: bool = False) -> Iterator[BagReader]:
    """
    Open a bag; errors of reading are ValueErrors that name it.

    A folder without metadata.yaml is read if it has a single file; bags of ROS 1 are opened only
    with `ros_1`. Raises FileNotFoundError if there is no bag, ValueError if it cannot be read or
    its metadata.yaml contradicts the files.
    """
    path = _path_of_bag(Path(path), ros_1)
    try:
        reader = BagReader(path)
    except ModuleNotFoundError as error:
        raise ValueError(
            'bags are read by the library rosbags: pip install rosbags pyyaml'
        ) from error
    with contextlib.closing(reader):
        _check_listed(reader, path)
        yield reader


def _path_of_bag(path: Path, ros_1: bool) -> Path:
    """Return the path to open for a bag; raise an error if it cannot be one that is read."""
    if not path.exists():
        raise FileNotFoundError(f'there is no bag {path}')
    if path.suffix == ROS_1 and path.is_file() and not ros_1:
        raise ValueError(
            f'{path} is a bag of ROS 1: convert it with `rosbags-convert --src {quote(str(path))} '
            f'--dst {quote(str(path.with_suffix("")))}` and give the new folder'
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
                f'write it with `ros2 bag reindex {quote(str(path))}`'
            )
        path = files[0]
    if path.suffix == '.zstd':
        raise ValueError(
            f'{path} is compressed: give the folder with metadata.yaml, or unpack it with '
            f'`zstd -d {quote(str(path))}` and give the result'
        )
    return path


def _check_listed(reader: BagReader, path: Path) -> None:
    """Raise ValueError if metadata.yaml and the files differ in the topics with messages."""
    repair = f'try: ros2 bag reindex {quote(str(path))}'
    for connection in reader.connections:
        if connection.msgcount and next(reader.messages([connection]), None) is None:
            messages = counted(connection.msgcount, 'message')
            raise ValueError(
                f'the bag {path} cannot be read: metadata.yaml lists {messages} on '
                f'{connection.topic}, its files have none that fits (type or QoS differ); {repair}'
            )
    for topic, count in reader.unlisted.items():
        raise ValueError(
            f'the bag {path} cannot be read: metadata.yaml does not list {topic}, of which '
            f'its files have {counted(count, "message")}; {repair}'
        )


class BagReader:
    """
    Reader of a bag by `rosbags` that raises only ValueError, whatever library finds the damage.

    It has the standard definitions of messages. Those in the bag are not read: older bags have
    none, and a single one that cannot be parsed would make the bag unreadable. Messages in other
    formats than ROS 2 are neither read nor counted.

    Attributes:
        connections: connections of `rosbags` whose messages can be read.
        left_out: connections in other formats.
        topics: topics of `rosbags` by name, made of `connections`.
        unlisted: number of messages in the files by topic, of topics that metadata.yaml lacks.
        message_count: number of messages of `connections`, as listed in the bag.
        duration: time from the first message to the last, in nanoseconds.

    """

    def __init__(self, path: Path):
        from rosbags import rosbag1, rosbag2
        from rosbags.typesys import get_typestore, Stores

        self._path = path
        is_ros_1 = path.suffix == ROS_1 and path.is_file()
        store = get_typestore(Stores.ROS1_NOETIC if is_ros_1 else Stores.ROS2_JAZZY)
        self._deserialize = store.deserialize_ros1 if is_ros_1 else store.deserialize_cdr
        self.left_out: list[Any] = []
        self.unlisted: Counter[str] = Counter()
        kind = rosbag1.Reader if is_ros_1 else rosbag2.Reader
        try:
            self._reader: Any = kind(path if is_ros_1 else RosTopicsPath(path))
            self._reader.open()
        except NoRosTopicsError:
            raise
        except Exception as error:
            raise self._damage(error) from error
        if not is_ros_1:
            self._select_ros_2()
        self.connections: list[Any] = self._reader.connections
        self.topics: dict[str, Any] = self._reader.topics
        self.duration: int = self._reader.duration
        left_out = sum(each.msgcount for each in self.left_out)
        self.message_count: int = self._reader.message_count - left_out

    def _select_ros_2(self) -> None:
        """
        Remove connections in other formats from the reader, and sort its files by time.

        Also count the messages of topics that are not listed.

        `rosbags` has no options for this. It makes topics and finds messages from these lists.
        """
        connections = self._reader.connections
        self.left_out = [each for each in connections if not _is_of_ros_2(each)]
        connections[:] = filter(_is_of_ros_2, connections)
        # The files of a split bag may be listed in any order.
        files = getattr(self._reader.storage, 'storages', [])
        files.sort(key=lambda file: file.metadata.start_time)
        listed = {each.topic for each in (*connections, *self.left_out)}
        for each in (connection for file in files for connection in file.connections):
            if each.msgcount and each.topic not in listed and _is_of_ros_2(each):
                self.unlisted[each.topic] += each.msgcount

    def _damage(self, error: Exception) -> ValueError:
        """Return the error of a bag that cannot be read, with the command that may repair it."""
        repair = _REPAIRS['' if self._path.is_dir() else self._path.suffix]
        repair = repair.format(path=quote(str(self._path)))
        return ValueError(f'the bag {self._path} cannot be read: {error}; {repair}')

    def messages(self, connections: Iterable[Any] = ()) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, time in nanoseconds and data of each message, of all by default."""
        try:
            yield from self._reader.messages(connections)
        except Exception as error:
            raise self._damage(error) from error

    def deserialize(self, data: bytes, message_type: str) -> Any:
        """Return the message in serialized data; raise ValueError if it is not of this type."""
        try:
            return self._deserialize(data, message_type)
        except Exception as error:
            hint = ''
            if bytes(data[:4]) == _ZSTD:
                hint = '; it is compressed: the bag must have a metadata.yaml'
            raise ValueError(
                f'a message of {counted(len(data), "byte")} is not a {message_type}: {error}{hint}'
            ) from error

    def close(self) -> None:
        """Close the files."""
        self._reader.close()


def _is_of_ros_2(connection: Any) -> bool:
    """Return whether the messages of a connection are serialized as in ROS 2."""
    return connection.ext.serialization_format == 'cdr'
