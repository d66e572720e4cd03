# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The settings that the detector node has in addition to those of detection and execution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import re

from rclpy.node import Node

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.geometry.depth_settings import DepthSettings
from superpoint_ros.ros.messages.feature_messages import DESCRIPTOR_FORMATS
from superpoint_ros.ros.parameters import declare, LifecycleSettings
from superpoint_ros.ros.topics.calibration_topic import RECTIFIED

TRANSPORTS = ('raw', 'compressed')

DEPTH_SOURCES = ('none', 'stereo', 'image')

_CAMERA_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*')


@dataclass(frozen=True)
class FeatureOutput(SettingsGroup):
    """Settings of the published features and of the overlay."""

    descriptor_format: str = setting(
        DESCRIPTOR_FORMATS[0],
        'Number type of the published descriptors. int8 is round(127 d), a quarter of the bytes.',
        choices=DESCRIPTOR_FORMATS,
    )
    covariances: bool = setting(
        False,
        'Add the fields variance_u, covariance_uv and variance_v: the covariance of the keypoint, '
        'from the curvature of the image around it.',
    )
    overlay: bool = setting(True, 'Publish features/overlay while it has a subscriber.')


@dataclass(frozen=True)
class CameraSettings(SettingsGroup, live=False):
    """Settings of the cameras whose images the node subscribes to."""

    cameras: list[str] = setting(
        [''],
        'Names of the cameras; each prefixes its topics: left gives left/image and '
        'left/features. Without names, also if the list is empty, there is one camera with image '
        'and features.',
        constraint='different names of letters, digits and _',
    )
    sync_wait: float = setting(
        0.01,
        'Time that a frame waits for frames of the other cameras with the same stamp, so that '
        'all go through the network together.',
        unit='s',
        range=(0.0, 1.0),
    )
    image_transport: str = setting(
        TRANSPORTS[0],
        'Type of the subscribed images: raw (topic image) or compressed (topic image/compressed).',
        choices=TRANSPORTS,
    )
    lazy: bool = setting(
        False,
        'Subscribe to images only while features or features/overlay has a subscriber.',
    )
    normalized_coordinates: bool = setting(
        False,
        'Subscribe to camera_info and publish undistorted, normalised coordinates of the '
        'keypoints as fields x, y and z (z = 1). With depths, those of points whose depth is '
        'unknown.',
    )
    mask: str = setting(
        '',
        'Path of an image of the size of the camera images that is black where no keypoints are '
        'allowed, such as on the robot itself; empty: no mask. With several cameras, NAME.mask '
        'is the mask of camera NAME.',
    )

    def __post_init__(self):
        super().__post_init__()
        bad = [name for name in self.names if name and not _CAMERA_NAME.fullmatch(name)]
        if bad or len(set(self.names)) < len(self.names):
            raise ValueError(
                'cameras must be different names of letters, digits and _, starting with a '
                f'letter; got {", ".join(self.names)}'
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the cameras, ('',) if there is one without a name."""
        return tuple(name for name in self.cameras if name) or ('',)


@dataclass(frozen=True)
class DepthInput(SettingsGroup, live=False):
    """Settings of the topics from which keypoints get their depths."""

    depth_source: str = setting(
        DEPTH_SOURCES[0],
        'Source of the depths of keypoints: none, stereo (two cameras, the left one first, with '
        'rectified images), or image (depth images on depth that are registered to the images).',
        choices=DEPTH_SOURCES,
    )
    rectified: bool = setting(False, f'{RECTIFIED} Always so with depth_source stereo.')
    pair_tolerance: float = setting(
        0.001,
        'Largest difference between the stamps of left and right image, or of image and depth '
        'image.',
        unit='s',
        range=(0.0, 1.0),
    )
    pair_wait: float = setting(
        0.3,
        'Longest time that an image waits for its right image or depth image, unless a later pair '
        'is complete; without, its features are published without depths.',
        unit='s',
        range=(0.0, 10.0),
    )


@dataclass(frozen=True)
class CameraMask(SettingsGroup, live=False):
    """Setting of one of several cameras, with its name as prefix."""

    mask: str = setting('', 'Path of the mask of this camera; empty: that of the parameter mask.')


DETECTOR_GROUPS = (
    ExecutionSettings,
    LifecycleSettings,
    CameraSettings,
    DepthInput,
    DepthSettings,
    DetectionSettings,
    FeatureOutput,
)
"""Groups of settings that are parameters of the detector node."""


def declare_masks(node: Node, cameras: CameraSettings) -> Mapping[str, str]:
    """Return the path of the mask of each camera by its name, after declaring `NAME.mask`."""
    return {
        name: (name and declare(node, CameraMask, name).mask) or cameras.mask
        for name in cameras.names
    }
