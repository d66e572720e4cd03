# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
MCAP files with topics of other formats than ROS 2, such as JSON or Protobuf, for `rosbags`.

`rosbags` refuses a file with one such topic, and files without the profile of ROS 2, which other
programs than ROS write. The index at the end of the file lists all topics: `RosTopicsPath` hides
the definitions of other formats from the reader, by changing single bytes while they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import io
from pathlib import Path
import struct
from typing import Any, BinaryIO

from superpoint_ros.common.wording import counted

_ROS_DEFINITIONS = ('', 'ros2msg', 'ros2idl', 'omgidl')
# Records of an MCAP file (mcap.dev/spec): one byte of kind, eight of length, the content.
_FOOTER, _SCHEMA, _CHANNEL, _OFFSETS = 0x02, 0x03, 0x04, 0x0E
_PRIVATE = 0x80  # the first kind of records that readers must skip
_MAGIC = b'\x89MCAP0\r\n'
_RECORD = struct.Struct('<BQ')
_FOOTER_SIZE = _RECORD.size + 20 + len(_MAGIC)
_PROFILE = b'\x04\x00\x00\x00ros2'


class NoRosTopicsError(ValueError):
    """Error of an MCAP file without any topic of ROS 2."""


class RosTopicsPath(type(Path())):
    """Path of a bag; a file `.mcap` opened in mode 'rb' shows only definitions of ROS 2."""

    def open(self, mode='r', *arguments, **options):
        """Open the file like `Path.open`; raise NoRosTopicsError if no topic is of ROS 2."""
        file = super().open(mode, *arguments, **options)
        if self.suffix != '.mcap' or mode != 'rb':
            return file
        try:
            changes, formats = _changes(file)
        except (UnicodeDecodeError, struct.error):
            changes, formats = {}, set()  # rosbags reports what is damaged
        if formats and 'cdr' not in formats:
            file.close()
            raise NoRosTopicsError(
                f'{self} has no topic of ROS 2: its messages are in the format '
                f'{", ".join(sorted(formats))}'
            )
        file.seek(0)
        return io.BufferedReader(_ChangedFile(file, changes)) if changes else file


def describe_left_out(connection: Any) -> str:
    """Return what is left out of a bag, as its messages are not of ROS 2."""
    name = connection.ext.serialization_format
    messages = counted(connection.msgcount, 'message')
    return f'{connection.topic}: {messages} in the format {name}, not of ROS 2'


class _ChangedFile(io.RawIOBase):
    """A file that is read with other bytes at some offsets."""

    def __init__(self, file: BinaryIO, changes: Mapping[int, int]):
        super().__init__()
        self._file, self._changes = file, changes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer) -> int:
        start = self._file.tell()
        count = self._file.readinto(buffer)
        for offset, value in self._changes.items():
            if start <= offset < start + count:
                buffer[offset - start] = value
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _changes(file: BinaryIO) -> tuple[dict[int, int], set[str]]:
    """Return the changed bytes by offset, and the formats of the topics; cdr is that of ROS 2."""
    changes, formats = {}, set()
    for offset, kind, content in _summary(file):
        if kind == _SCHEMA:
            end = 2 + _sized(content, 2)
            if _text(content, end) not in _ROS_DEFINITIONS:
                changes[offset] = _PRIVATE
        elif kind == _CHANNEL:
            formats.add(_text(content, 4 + _sized(content, 4)))
    file.seek(len(_MAGIC) + _RECORD.size)
    if formats and file.read(len(_PROFILE)) != _PROFILE:
        changes.update(enumerate(_PROFILE, len(_MAGIC) + _RECORD.size))
    return changes, formats


def _summary(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, kind and content of each record in the index of an MCAP file."""
    offset = file.seek(0, io.SEEK_END) - _FOOTER_SIZE
    file.seek(max(offset, 0))
    kind, _, start = struct.unpack_from('<BQQ', file.read(_FOOTER_SIZE))
    if kind != _FOOTER or not 0 < start < offset:
        return
    file.seek(start)
    summary = file.read(offset - start)
    position = 0
    while position < len(summary):
        kind, length = _RECORD.unpack_from(summary, position)
        if kind == _OFFSETS:
            return
        begin = position + _RECORD.size
        yield start + position, kind, summary[begin : begin + length]
        position = begin + length


def _sized(content: bytes, offset: int) -> int:
    """Return the number of bytes that a string takes, with its length."""
    return 4 + struct.unpack_from('<I', content, offset)[0]


def _text(content: bytes, offset: int) -> str:
    """Return the string at an offset."""
    return content[offset + 4 : offset + _sized(content, offset)].decode()
