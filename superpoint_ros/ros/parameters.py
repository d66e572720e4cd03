# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Groups of settings as parameters of a node, for all nodes.

A group is a dataclass made with `superpoint_ros.common.settings_table`; each field is one
parameter of the same name. Live fields are changed by `ros2 param set`; those with `live=False`
are read-only.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any, get_origin

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.node import Node
from rclpy.parameter import Parameter

from superpoint_ros.common.settings_table import (
    Setting,
    setting,
    Settings,
    SettingsGroup,
    table_of,
)
from superpoint_ros.common.wording import similar_name

QOS_OVERRIDES = 'qos_overrides.'
"""Beginning of the names of parameters for the quality of service of topics."""

Hook = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class LifecycleSettings(SettingsGroup, live=False):
    """Setting of every lifecycle node."""

    autostart: bool = setting(
        True,
        'Configure and activate the node when it starts. false leaves this to a lifecycle '
        'manager.',
    )


class Parameters:
    """
    Groups of settings that follow the parameters of a node.

    A call that sets parameters is refused as a whole, with the reason, unless all groups accept
    their new values; then all groups are replaced at once. A change is logged.
    """

    def __init__(
        self,
        node: Node,
        groups: Iterable[type],
        check: Hook = lambda values: None,
        applied: Hook = lambda values: None,
    ):
        """
        Declare the parameters of the groups on the node.

        Args:
            node: node that gets the parameters.
            groups: dataclasses of settings; no two have a field of the same name.
            check: called with the new values by name after the groups have accepted them; raises
                TypeError, ValueError or OSError to refuse them.
            applied: called with the new values by name after the groups were replaced.

        Raises TypeError, ValueError or rclpy's ParameterException if a parameter file or the
        command line gives a parameter a value that is not allowed, or uses an old name.

        """
        self._node, self._logger = node, node.get_logger()
        self._groups = {kind: declare(node, kind) for kind in groups}
        self._check_further, self._applied = check, applied
        self._renamed = {old: new for kind in self._groups for old, new in kind.RENAMED.items()}
        self._rows = {name: row for kind in self._groups for name, row in table_of(kind).items()}
        node.add_pre_set_parameters_callback(self._correct)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def of(self, kind: type[Settings]) -> Settings:
        """Return the current settings of a group."""
        return self._groups[kind]

    def current(self) -> Mapping[type, Any]:
        """Return the current settings of all groups by type, which belong together."""
        return self._groups

    def _correct(self, parameters: list[Parameter]) -> list[Parameter]:
        """
        Return the parameters; refuse old and unknown names, so that the caller gets the right one.

        rclpy refuses unknown names, too, but its message has an empty list instead of the name.
        """
        for name in (parameter.name for parameter in parameters):
            # The only exception that rclpy sends to a caller in another process.
            if name in self._renamed:
                raise ParameterNotDeclaredException(
                    f'{name}, which was renamed: use {self._renamed[name]}'
                )
            if not self._node.has_parameter(name):
                similar = similar_name(name, self._rows)
                raise ParameterNotDeclaredException(
                    f'{name}; is {similar} meant?' if similar else name
                )
        return [_with_type(each, self._rows.get(each.name)) for each in parameters]

    def _changed(self, values: Mapping[str, Any]) -> dict[type, Any]:
        """Return the groups with new values; raise TypeError or ValueError if one refuses."""
        return {
            kind: replace(
                group, **{name: values[name] for name in table_of(kind) if name in values}
            )
            for kind, group in self._groups.items()
        }

    def _check(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        """Return whether the parameters may be set, without changing anything."""
        values = _values(parameters)
        try:
            self._changed(values)
            self._check_further(values)
        except (TypeError, ValueError, OSError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: Iterable[Parameter]) -> None:
        """Replace the groups by those with the new values, which were checked."""
        values = _values(parameters)
        groups = self._changed(values)
        if groups != self._groups:
            self._groups = groups
            changes = ', '.join(f'{name} is now {value!r}' for name, value in values.items())
            self._logger.info(changes)
        self._applied(values)


def declare(node: Node, kind: type[Settings], prefix: str = '') -> Settings:
    """
    Return a group of settings, after declaring its fields as parameters of the node.

    A prefix precedes the names, with a dot: `declare(node, CameraMask, 'left')` declares
    `left.mask`. Raises what `Parameters` raises.
    """
    start = f'{prefix}.' if prefix else ''
    for old, new in kind.RENAMED.items():
        _refuse_old_name(node, start + old, start + new)
    values, given = {}, given_parameters(node)
    for name, row in table_of(kind).items():
        if start + name in given:
            given[start + name] = _with_type(given[start + name], row)
        parameter = node.declare_parameter(start + name, row.default, _descriptor(row))
        values[name] = _plain(parameter.value)
        if values[name] is None and get_origin(row.type) is list:
            values[name] = row.default  # ROS reads an empty list in YAML as no value
    return kind(**values)


def _refuse_old_name(node: Node, old: str, new: str) -> None:
    """
    Raise ValueError if a parameter file or the command line sets a parameter by its old name.

    rclpy ignores values for parameters that are not declared, without a warning.
    """
    parameter = node.declare_parameter(old, None, ParameterDescriptor(dynamic_typing=True))
    node.undeclare_parameter(old)
    if parameter.value is not None:
        raise ValueError(f'the parameter {old} was renamed: use {new}')


def unknown_parameters(node: Node) -> dict[str, str]:
    """
    Return the names from parameter files and the command line that no parameter of the node has.

    The value of each is the name of the parameter that it resembles; empty if it resembles none.
    Values of `qos_overrides` belong to topics, and are left out.
    """
    known = node.list_parameters([], 0).names
    return {
        name: similar_name(name, known)
        for name in sorted(given_parameters(node))
        if not node.has_parameter(name) and not name.startswith(QOS_OVERRIDES)
    }


def warn_of_misspelt_names(node: Node) -> None:
    """
    Warn of values from a parameter file or the command line for names that resemble parameters.

    Other unknown names may be meant for other nodes: parameter files may have wildcards. To be
    called when all parameters are declared.
    """
    for unknown, similar in unknown_parameters(node).items():
        if similar:
            node.get_logger().warning(
                f'the parameter {unknown} is unknown and is ignored: is {similar} meant?'
            )


def given_parameters(node: Node) -> dict[str, Parameter]:
    """Return the values from parameter files and the command line; they may be replaced."""
    return getattr(node, '_parameter_overrides', {})  # rclpy has no public name for them


def _with_type(parameter: Parameter, row: Setting | None) -> Parameter:
    """Return whole numbers for a setting of floats as floats: ROS refuses `threshold: 0`."""
    kind = row.type if row else None
    if kind is float and parameter.type_ == Parameter.Type.INTEGER:
        return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
    if kind == list[float] and parameter.type_ == Parameter.Type.INTEGER_ARRAY:
        return Parameter(
            parameter.name, Parameter.Type.DOUBLE_ARRAY, [float(each) for each in parameter.value]
        )
    return parameter


def _descriptor(row: Setting) -> ParameterDescriptor:
    """Return the descriptor of a parameter: what `ros2 param describe` prints."""
    choices = f'one of {", ".join(row.choices)}' if row.choices else ''
    descriptor = ParameterDescriptor(
        description=f'{row.help} Unit: {row.unit}.' if row.unit else row.help,
        additional_constraints='; '.join(filter(None, (choices, row.constraint))),
        read_only=not row.live,
        dynamic_typing=get_origin(row.type) is UnionType,
    )
    if row.range and row.type is float:
        low, high = map(float, row.range)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif row.range and row.type is int:
        low, high = row.range
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    return descriptor


def _plain(value: Any) -> Any:
    """Return the value of a parameter; an array of numbers as a list."""
    return list(value) if isinstance(value, array) else value


def _values(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the values of parameters by name."""
    return {parameter.name: _plain(parameter.value) for parameter in parameters}
