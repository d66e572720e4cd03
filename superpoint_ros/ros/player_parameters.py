# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The settings of the player, and the sequence of frames that they describe."""

from __future__ import annotations

from dataclasses import dataclass

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.data.sequences.image_files import find_photographs
from superpoint_ros.data.sequences.opening import open_sequence
from superpoint_ros.data.sequences.rectification import RectifiedStereo
from superpoint_ros.data.sequences.sequence import FrameSequence
from superpoint_ros.data.sequences.virtual_camera import VirtualCamera
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.simulation.room import SimulatedRoom

ROOM = 'room'
"""Name of the source that is no path: a camera in a simulated room."""

ROOM_RATE = 20.0
"""Default rate of the simulated room in Hz; a frame of 640x480 takes up to 40 ms to render."""


@dataclass(frozen=True)
class PlayerSettings(SettingsGroup, live=False):
    """Settings of the player."""

    source: str | int = setting(
        '',
        'What is played: an image, a folder of images, a video file, a camera (/dev/video0 or '
        '0), a folder of the TUM RGB-D, KITTI odometry or EuRoC benchmark, or a ROS 2 bag; '
        f'{ROOM}: a camera in a simulated room; empty: a virtual camera over photographs.',
    )
    topic: str = setting('', 'Image topic of a bag; empty: the only image topic of the bag.')
    truth_topic: str = setting(
        '',
        'Topic of the true camera poses of a bag; empty: the topic that ends in '
        'ground_truth/pose.',
    )
    calibration: str = setting(
        '',
        'Path of a camera calibration, as camera_calibration writes it; empty: the calibration '
        'of the source, if it has one.',
    )
    rate: float = setting(
        0.0,
        'Rate of the images. 0: the rate of the source, 30 Hz for images.',
        unit='Hz',
        range=(0.0, 1000.0),
    )
    loop: bool = setting(True, 'Start again after the last frame.')
    color: bool = setting(False, 'Publish bgr8 instead of mono8.')
    frame_id: str = setting('camera', 'The frame_id of the images.')
    world_frame_id: str = setting('world', 'The frame_id of the true poses.')
    recorded_stamps: bool = setting(
        False,
        'Stamp the messages with the times of the source instead of the current time.',
    )
    max_side: int = setting(
        0,
        'Reduce images until neither side is longer than this. 0: never.',
        unit='px',
        range=(0, 65_535),
    )
    width: int = setting(
        640,
        'Image width of the virtual and of the simulated camera.',
        unit='px',
        range=(16, 8192),
    )
    height: int = setting(
        480,
        'Image height of the virtual and of the simulated camera.',
        unit='px',
        range=(16, 8192),
    )
    photographs: str = setting(
        '',
        'Folder of the photographs for the virtual and the simulated camera; empty: those of '
        'the package.',
    )
    seconds_each: float = setting(
        10.0,
        'Time that the virtual camera spends on each photograph.',
        unit='s',
        range=(0.1, 3600.0),
    )
    seed: int = setting(
        0,
        'Random seed of the simulated room and of the path of the camera, virtual or simulated.',
        range=(0, 2**31 - 1),
    )
    field_of_view: float = setting(
        70.0,
        'Horizontal field of view of the simulated camera.',
        unit='deg',
        range=(10.0, 130.0),
    )
    distortion: list[float] = setting(
        [0.0, 0.0, 0.0, 0.0, 0.0],
        'Lens distortion of the simulated camera: k1, k2, p1, p2, k3 of plumb_bob.',
    )
    exposure: float = setting(
        0.0,
        'Exposure time of the simulated camera, which causes motion blur.',
        unit='s',
        range=(0.0, 1.0),
    )
    noise: float = setting(
        0.0,
        'Standard deviation of the noise of the simulated camera, in gray levels.',
        range=(0.0, 100.0),
    )

    stereo: bool = setting(
        False,
        'Publish rectified images of two cameras: of the simulated room and of folders of KITTI '
        'and EuRoC.',
    )
    baseline: float = setting(
        0.12,
        'Distance of the two simulated cameras with stereo.',
        unit='m',
        range=(0.001, 1.0),
    )
    depth: bool = setting(
        False,
        'Publish depth images, too: of the simulated room and of folders of TUM RGB-D.',
    )


def open_source(settings: PlayerSettings) -> FrameSequence:
    """
    Return the sequence of frames that the settings describe, rectified with `stereo`.

    Raises FileNotFoundError, NotADirectoryError or ValueError if it cannot be opened.
    """
    sequence = _open(settings)
    return RectifiedStereo(sequence) if settings.stereo else sequence


def _open(settings: PlayerSettings) -> FrameSequence:
    """Return the sequence of frames of the source."""
    source = str(settings.source)
    if source not in ('', ROOM):
        return open_sequence(
            source,
            color=settings.color,
            topic=settings.topic,
            truth_topic=settings.truth_topic,
            calibration=settings.calibration,
            with_second=settings.stereo,
            with_depth=settings.depth,
        )
    photographs = find_photographs(settings.photographs)
    size = (settings.width, settings.height)
    if source == ROOM:
        return SimulatedRoom(
            photographs,
            CameraModel.of_view(size, settings.field_of_view, settings.distortion),
            settings.seed,
            settings.color,
            settings.rate or ROOM_RATE,
            exposure=settings.exposure,
            noise=settings.noise,
            baseline=settings.baseline if settings.stereo else 0.0,
            with_depth=settings.depth,
        )
    return VirtualCamera(
        photographs,
        size,
        settings.seed,
        settings.color,
        settings.rate or 30.0,
        seconds_each=settings.seconds_each,
    )
