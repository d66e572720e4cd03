"""
The detector node's parameters: their declaration, their checks and what they mean together.

Those that can change while the node runs make up one `LiveSettings`, which is replaced as a whole:
whoever reads it once works with values that belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from superpoint_ros.decoding import DetectionSettings
from superpoint_ros.engines import PRECISIONS
from superpoint_ros.node.feature_messages import DESCRIPTOR_FORMATS

_DETECTION = DetectionSettings()


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
        if self.name in DetectionSettings.RANGES:
            low, high = DetectionSettings.RANGES[self.name]
            if isinstance(self.default, float):
                bounds = FloatingPointRange(from_value=float(low), to_value=float(high))
                descriptor.floating_point_range = [bounds]
            else:
                bounds = IntegerRange(from_value=int(low), to_value=int(high))
                descriptor.integer_range = [bounds]
        return descriptor


DECLARATIONS = (
    _Declaration(
        'threshold', _DETECTION.threshold, 'Least probability of a keypoint: lower gives more.'
    ),
    _Declaration(
        'nms_radius',
        _DETECTION.nms_radius,
        'Within so many pixels of a keypoint, to each side, there is no other.',
    ),
    _Declaration(
        'max_keypoints', _DETECTION.max_keypoints, 'At most so many keypoints, the best, are kept.'
    ),
    _Declaration(
        'border_margin',
        _DETECTION.border_margin,
        'No keypoint lies within so many pixels of the border of the image.',
    ),
    _Declaration('subpixel', _DETECTION.subpixel, 'Whether keypoints may lie between the pixels.'),
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
        'Path of the weight file; empty: the weights that the package ships.',
        'a .safetensors file of this package, or a .pth of SuperPoint',
        read_only=True,
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
        'Type of the numbers in the network; auto: float16 on CUDA, float32 on a CPU.',
        f'one of {", ".join(PRECISIONS)}; float16 needs CUDA',
        read_only=True,
    ),
)


def declare(node: Node) -> dict[str, Any]:
    """
    Return the values of all parameters by name, after declaring them on the node.

    Raises rclpy's ParameterException where a file or the command line gives one a value of the
    wrong type or out of its range.
    """
    return {
        each.name: node.declare_parameter(each.name, each.default, each.descriptor()).value
        for each in DECLARATIONS
    }


class LiveParameters:
    """
    Keep a node's live settings in step with its parameters.

    A call to set parameters is refused as a whole, with the reason, unless all its values are good
    together; only then `settings` is replaced.
    """

    def __init__(self, node: Node, settings: LiveSettings, applied: Callable[[str], None]):
        """Watch the node; `applied` gets a line about each change."""
        self.settings = settings
        self._applied = applied
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def _check(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        """Return whether the parameters may be set, without changing anything."""
        try:
            self.settings.changed(_values(parameters))
        except (TypeError, ValueError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: Iterable[Parameter]) -> None:
        """Replace the settings by those that the parameters, which were checked, make."""
        values = _values(parameters)
        changed = self.settings.changed(values)
        if changed != self.settings:
            self.settings = changed
            self._applied(', '.join(f'{name} is now {value}' for name, value in values.items()))


def _values(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the values of parameters by name."""
    return {parameter.name: parameter.value for parameter in parameters}
