# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Dataclasses of settings as live parameters of a node: declared, checked and kept in step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from superpoint_ros.settings_table import table_of

Settings = TypeVar('Settings')


def declare(
    node: Node,
    name: str,
    default: Any,
    description: str,
    limits: tuple[float, float] | None = None,
    read_only: bool = True,
) -> Any:
    """Return the value of a parameter, after declaring it, with its range if it has one."""
    descriptor = ParameterDescriptor(description=description, read_only=read_only)
    if limits and isinstance(default, float):
        bounds = FloatingPointRange(from_value=float(limits[0]), to_value=float(limits[1]))
        descriptor.floating_point_range = [bounds]
    elif limits:
        bounds = IntegerRange(from_value=int(limits[0]), to_value=int(limits[1]))
        descriptor.integer_range = [bounds]
    return node.declare_parameter(name, default, descriptor).value


class SettingParameters:
    """
    Hold settings whose fields are live parameters of a node, each under its own name.

    `groups` are frozen dataclasses made with `superpoint_ros.settings_table`.
    A call to set parameters is refused as a whole, with the reason, unless all its values are good
    together. `applied` gets a line about each change. Raises ValueError or TypeError where the
    values at the start cannot be.
    """

    def __init__(
        self,
        node: Node,
        groups: Iterable[Any],
        applied: Callable[[str], None],
    ):
        self._applied = applied
        self._groups = {}
        for group in groups:
            values = {
                row.name: declare(
                    node, row.name, row.default, row.help, row.range, read_only=False
                )
                for row in table_of(group).values()
            }
            self._groups[type(group)] = replace(group, **values)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def of(self, kind: type[Settings]) -> Settings:
        """Return the present settings of one of the dataclasses."""
        return self._groups[kind]

    def _changed(self, parameters: Iterable[Parameter]) -> dict[type, Any]:
        """Return the settings with the values of the parameters; raise where they cannot be."""
        values = {parameter.name: parameter.value for parameter in parameters}
        return {
            kind: replace(group, **{n: v for n, v in values.items() if n in vars(group)})
            for kind, group in self._groups.items()
        }

    def _check(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        try:
            self._changed(parameters)
        except (TypeError, ValueError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: Iterable[Parameter]) -> None:
        changed = self._changed(parameters)
        if changed != self._groups:
            self._groups = changed
            values = ', '.join(f'{each.name} is now {each.value}' for each in parameters)
            self._applied(values)
