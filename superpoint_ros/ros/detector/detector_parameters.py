# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The detector node's parameters: their declaration, their checks and what they mean together.

Those that can change while the node runs make up one `LiveSettings`, which is replaced as a whole:
whoever reads it once works with values that belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
import re
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines.selection import ENGINES, MOST_THREADS, PRECISIONS
from superpoint_ros.ros.messages.feature_messages import DESCRIPTOR_FORMATS
from superpoint_ros.settings_table import table_of

TRANSPORTS = ('raw', 'compressed')

_CAMERA_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*')


@dataclass(frozen=True)
class LiveSettings:
    """
    Hold what can be set while the node runs.

    Raises TypeError or ValueError that names the setting, its value and what it may be.
    """

    detection: DetectionSettings = field(default_factory=DetectionSettings)
    descriptor_format: str = 'float32'
    overlay: bool = True

    def __post_init__(self):
        if self.descriptor_format not in DESCRIPTOR_FORMATS:
            raise ValueError(
                f'descriptor_format must be one of {", ".join(DESCRIPTOR_FORMATS)}; '
                f'got {self.descriptor_format!r}'
            )
        if not isinstance(self.overlay, bool):
            raise TypeError(f'overlay must be true or false, got {self.overlay!r}')

    def changed(self, values: Mapping[str, Any]) -> LiveSettings:
        """Return these settings with the values by parameter name; others are passed over."""
        own = {f.name for f in fields(self)} - {'detection'}
        detection = {name: v for name, v in values.items() if name in vars(self.detection)}
        return replace(
            self,
            detection=replace(self.detection, **detection),
            **{name: value for name, value in values.items() if name in own},
        )


@dataclass(frozen=True)
class _Declaration:
    """One parameter: its name, default, meaning and, in words, what it may be."""

    name: str
    default: Any
    description: str
    constraints: str = ''
    read_only: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """Return what the node tells about the parameter, with its range if it has one."""
        descriptor = ParameterDescriptor(
            description=self.description,
            additional_constraints=self.constraints,
            read_only=self.read_only,
        )
        if self.name in _RANGES:
            low, high = _RANGES[self.name]
            if isinstance(self.default, float):
                bounds = FloatingPointRange(from_value=float(low), to_value=float(high))
                descriptor.floating_point_range = [bounds]
            else:
                bounds = IntegerRange(from_value=int(low), to_value=int(high))
                descriptor.integer_range = [bounds]
        return descriptor


DECLARATIONS = (
    *(
        _Declaration(row.name, row.default, row.help, row.constraint or ', '.join(row.choices))
        for row in table_of(DetectionSettings).values()
    ),
    _Declaration(
        'descriptor_format',
        LiveSettings.descriptor_format,
        'How descriptors are sent: float32, or int8 = round(127 d), a quarter of the bytes.',
        f'one of {", ".join(DESCRIPTOR_FORMATS)}',
    ),
    _Declaration(
        'overlay',
        LiveSettings.overlay,
        'Whether features/overlay is published while somebody listens to it.',
    ),
    _Declaration(
        'weights',
        '',
        'Path of the weight file; empty: the weights that the package ships. A file that cannot '
        'be used is refused, and the network goes on with the old one.',
        'a .safetensors file of this package, or a .pth of SuperPoint',
    ),
    _Declaration(
        'device',
        'auto',
        'Where the network runs; auto: on CUDA where there is one, else on the CPU.',
        'auto, cpu, cuda or cuda:N',
        read_only=True,
    ),
    _Declaration(
        'precision',
        'auto',
        'Type of the numbers in the network; auto: float16 on CUDA, on a CPU bfloat16 where the '
        'processor calculates in it, else float32.',
        f'one of {", ".join(PRECISIONS)}; float16 needs CUDA, int8 OpenVINO',
        read_only=True,
    ),
    _Declaration(
        'engine',
        'auto',
        'What executes the network; auto: on a CPU OpenVINO where it is installed, else PyTorch.',
        f'one of {", ".join(ENGINES)}',
        read_only=True,
    ),
    _Declaration(
        'threads',
        0,
        'Threads of the processor that the network and what follows it use; 0: one for each core.',
        read_only=True,
    ),
    _Declaration(
        'autostart',
        True,
        'Whether the node configures and activates itself; if not, a lifecycle manager does.',
        read_only=True,
    ),
    _Declaration(
        'cameras',
        [''],
        'Names of the cameras, each of which has its topics under its name: left gives '
        'left/image and left/features. Without any there is one, with image and features.',
        'names as in topics; no two the same',
        read_only=True,
    ),
    _Declaration(
        'sync_wait',
        0.01,
        'Seconds that a frame waits for those of the other cameras with the same stamp, to go '
        'through the network together.',
        read_only=True,
    ),
    _Declaration(
        'image_transport',
        TRANSPORTS[0],
        'What images are subscribed: raw (image), or compressed (image/compressed).',
        f'one of {", ".join(TRANSPORTS)}',
        read_only=True,
    ),
    _Declaration(
        'lazy',
        False,
        'Whether images are subscribed only while somebody listens to the features.',
        read_only=True,
    ),
    _Declaration(
        'normalized_coordinates',
        False,
        'Whether camera_info is subscribed, and with its calibration undistorted, normalised '
        'coordinates are published as fields x_normalized and y_normalized.',
        read_only=True,
    ),
    _Declaration(
        'mask',
        '',
        'Path of an image that is black where no keypoints may be, such as on the robot itself; '
        'empty: none. A camera of several has its own in NAME.mask.',
        read_only=True,
    ),
)

_RANGES = {
    **{row.name: row.range for row in table_of(DetectionSettings).values() if row.range},
    'sync_wait': (0.0, 1.0),
    'threads': (0, MOST_THREADS),
}


def declare(node: Node) -> dict[str, Any]:
    """
    Return the values of all parameters by name, after declaring them on the node.

    `cameras` is a tuple of names, ('',) for one camera without a name, and `mask` a dictionary of
    theirs. Raises rclpy's ParameterException where a file or the command line gives one a value of
    the wrong type or out of its range, and ValueError where the values do not make sense.
    """
    values = {
        each.name: node.declare_parameter(each.name, each.default, each.descriptor()).value
        for each in DECLARATIONS
    }
    if values['image_transport'] not in TRANSPORTS:
        raise ValueError(
            f'image_transport must be one of {", ".join(TRANSPORTS)}; '
            f'got {values["image_transport"]!r}'
        )
    cameras = tuple(name for name in values['cameras'] if name)
    bad = [name for name in cameras if not _CAMERA_NAME.fullmatch(name)]
    if bad or len(set(cameras)) < len(cameras):
        raise ValueError(
            'cameras must be names of letters, digits and _, no two the same; '
            f'got {", ".join(cameras)}'
        )
    descriptor = ParameterDescriptor(
        description='Path of the mask of this camera; empty: that of the parameter mask.',
        read_only=True,
    )
    masks = {'': values['mask']}
    for name in cameras:
        own = node.declare_parameter(f'{name}.mask', '', descriptor).value
        masks[name] = own or values['mask']
    return {**values, 'cameras': cameras or ('',), 'mask': masks}


class LiveParameters:
    """
    Keep a node's live settings in step with its parameters.

    A call to set parameters is refused as a whole, with the reason, unless all its values are good
    together; only then `settings` is replaced.
    """

    def __init__(
        self,
        node: Node,
        settings: LiveSettings,
        applied: Callable[[str], None],
        check_weights: Callable[[str], None],
        use_weights: Callable[[str], None],
    ):
        """
        Watch the node; `applied` gets a line about each change of the settings.

        `check_weights` raises ValueError or OSError for a weight file that cannot be used;
        `use_weights` gets one that was checked.
        """
        self.settings = settings
        self._applied = applied
        self._check_weights = check_weights
        self._use_weights = use_weights
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def _check(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        """Return whether the parameters may be set, without changing anything."""
        values = _values(parameters)
        try:
            self.settings.changed(values)
            if 'weights' in values:  # last, so that nothing is read for values that are refused
                self._check_weights(values['weights'])
        except (TypeError, ValueError, OSError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: Iterable[Parameter]) -> None:
        """Replace the settings by those that the parameters, which were checked, make."""
        values = _values(parameters)
        changed = self.settings.changed(values)
        if changed != self.settings:
            self.settings = changed
            self._applied(', '.join(f'{name} is now {value}' for name, value in values.items()))
        if 'weights' in values:
            self._use_weights(values['weights'])


def _values(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the values of parameters by name."""
    return {parameter.name: parameter.value for parameter in parameters}
