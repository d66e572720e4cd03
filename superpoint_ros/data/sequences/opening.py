# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Choice of the reader for a source of images."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from superpoint_ros.common.file_reading import is_found, walk_folders
from superpoint_ros.data.sequences.bag_reader import is_bag
from superpoint_ros.data.sequences.bags import BagSequence
from superpoint_ros.data.sequences.euroc import EurocSequence, find_euroc_camera
from superpoint_ros.data.sequences.frame_files import ImageSequence
from superpoint_ros.data.sequences.image_files import IMAGE_SUFFIXES, list_images
from superpoint_ros.data.sequences.kitti import is_kitti_folder, KittiSequence
from superpoint_ros.data.sequences.sequence import FrameSequence
from superpoint_ros.data.sequences.text_files import read_calibration
from superpoint_ros.data.sequences.tum import is_tum_folder, TumSequence
from superpoint_ros.data.sequences.video import Video


def open_sequence(
    source: str | Path,
    color: bool = False,
    topic: str | None = None,
    truth_topic: str | None = None,
    calibration: str | Path | None = None,
    with_second: bool = False,
    with_depth: bool = False,
) -> FrameSequence:
    """
    Return the frames of a source, gray unless `color`.

    Raises FileNotFoundError if the source does not exist, ValueError if it has no frame that can
    be read.

    Args:
        source: an image, a folder of images, a video, a camera (`/dev/videoN` or its number), a
            bag of ROS 1 or ROS 2, or a folder of the benchmarks EuRoC (ASL), TUM RGB-D or KITTI
            odometry.
        color: whether frames are BGR.
        topic: topic of the images in a bag (see `BagSequence`).
        truth_topic: topic of the true poses in a bag.
        calibration: file (see `read_calibration`) that replaces the calibration of the source.
        with_second: whether frames have the images of the second camera (EuRoC, KITTI).
        with_depth: whether frames have depth (TUM RGB-D, rendered sequences).

    """
    check_source(source)
    path = Path(source)
    sequence: FrameSequence
    if not is_found(path):  # the number of a camera, in any working directory
        sequence = Video(int(str(source)), color, live=True)
    elif is_bag(path):
        sequence = BagSequence(path, topic or None, truth_topic or None, color)
    elif find_euroc_camera(path):
        sequence = EurocSequence(path, color, with_second, with_depth)
    elif is_tum_folder(path):
        sequence = TumSequence(path, color, with_depth)
    elif is_kitti_folder(path):
        sequence = KittiSequence(path, color, with_second)
    elif path.is_dir():
        sequence = ImageSequence(list_images(path), color, f'the folder {path}')
    elif path.is_char_device():
        sequence = Video(str(path), color, live=True)
    elif path.suffix.lower() in IMAGE_SUFFIXES - {'.gif'}:  # a GIF may be a video
        sequence = ImageSequence([path], color, str(path))
    else:
        sequence = Video(str(path), color)
    if calibration:
        sequence.camera = read_calibration(calibration)
    return sequence


def check_source(source: str | Path) -> None:
    """Raise FileNotFoundError if a source is neither a path that exists nor a camera's number."""
    if not str(source).isdecimal() and not Path(source).exists():
        raise FileNotFoundError(
            f'there is no {source}: give an image, a folder of images, a video file, '
            'a camera (/dev/video0 or 0), or a bag'
        )


def list_sequences(source: str | Path) -> list[Path]:
    """
    Return the recordings in a folder: bags and folders in the layout of a benchmark, by name.

    The source itself is returned if it is a recording, or if it contains none: it may be anything
    that `open_sequence` reads.
    """
    path = Path(source)
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    is_leaf = cache(is_recording)  # of folders, which are read to decide it
    for folder in walk_folders(path, is_leaf):
        if is_leaf(folder):
            found.append(folder)
            continue
        files = (each for each in folder.iterdir() if is_found(each) and each.is_file())
        found += filter(is_bag, files)
    return sorted(found) or [path]


def is_recording(path: Path) -> bool:
    """Return whether a path is a bag or a folder in the layout of a benchmark."""
    if is_bag(path):
        return True
    is_layout = (find_euroc_camera, is_tum_folder, is_kitti_folder)
    return path.is_dir() and any(fits(path) for fits in is_layout)
