# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Choice of the reader for a source of images."""

from __future__ import annotations

from pathlib import Path

from superpoint_ros.data.sequences.bags import BagSequence, is_bag
from superpoint_ros.data.sequences.euroc import EurocSequence, find_euroc_camera
from superpoint_ros.data.sequences.image_files import IMAGE_SUFFIXES, ImageSequence, list_images
from superpoint_ros.data.sequences.kitti import is_kitti_folder, KittiSequence
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, FrameSequence
from superpoint_ros.data.sequences.text_files import read_calibration
from superpoint_ros.data.sequences.tum import is_tum_folder, TumSequence
from superpoint_ros.data.sequences.video import Video


def open_sequence(
    source: str | Path,
    color: bool = False,
    rate: float = DEFAULT_RATE,
    topic: str | None = None,
    truth_topic: str | None = None,
    calibration: str | Path | None = None,
) -> FrameSequence:
    """
    Return the frames of a source, gray unless `color`.

    Raises FileNotFoundError if the source does not exist, ValueError if it has no frame that can
    be read.

    Args:
        source: an image, a folder of images, a video, a camera (`/dev/videoN` or its number), a
            ROS 2 bag, or a folder of the benchmarks EuRoC (ASL), TUM RGB-D or KITTI odometry.
        color: whether frames are BGR.
        rate: rate in Hz from which single images get their stamps.
        topic: topic of the images in a bag (see `BagSequence`).
        truth_topic: topic of the true poses in a bag.
        calibration: file (see `read_calibration`) that replaces the calibration of the source.

    """
    sequence = _open(source, color, rate, topic, truth_topic)
    if calibration:
        sequence.camera = read_calibration(calibration)
    return sequence


def _open(source, color: bool, rate: float, topic, truth_topic) -> FrameSequence:
    """Return the sequence with the calibration of the source."""
    path = Path(source)
    if is_bag(path):
        return BagSequence(path, topic or None, truth_topic or None, color)
    if path.is_dir():
        if find_euroc_camera(path):
            return EurocSequence(path, color)
        if is_tum_folder(path):
            return TumSequence(path, color)
        if is_kitti_folder(path):
            return KittiSequence(path, color)
        return ImageSequence(list_images(path), color, rate, f'the folder {path}')
    if str(source).isdecimal() and not path.exists():
        return Video(int(source), color, live=True)
    if not path.exists():
        raise FileNotFoundError(
            f'there is no {source}: give an image, a folder of images, a video file, '
            'a camera (/dev/video0 or 0), or a ROS 2 bag'
        )
    if path.is_char_device():
        return Video(str(path), color, live=True)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSequence([path], color, rate, str(path))
    return Video(str(path), color, live=False)
