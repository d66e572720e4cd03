# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Settings as tables: one declaration holds a setting's default, range, unit and help text.

A group of settings is a frozen dataclass whose fields are made by `setting` and whose
`__post_init__` calls `check_settings`. ROS parameters, command-line options, the comments of the
parameter files and the tables of the documentation are made from `table_of` or tested against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

Settings = TypeVar('Settings')

_KEY = 'setting'
_KINDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number',
    str: 'a string',
    list: 'a list',
}


@dataclass(frozen=True)
class Setting:
    """
    One row of a table of settings.

    Attributes:
        name: name of the field, the ROS parameter and (with dashes) the command-line option.
        default: value if nothing else is given; its type is the type of the setting.
        help: one or two sentences in plain text, without the unit and the range.
        unit: unit of the value ('px', 's', 'deg', ...), or '' if it has none.
        range: (lowest, highest), both allowed, or None.
        choices: allowed values of a string setting, or ().
        constraint: further condition in words, or ''.
        live: whether a running node accepts a new value.
        any_type: whether a ROS parameter may have another type than the default.

    """

    name: str
    default: Any
    help: str
    unit: str = ''
    range: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    constraint: str = ''
    live: bool = True
    any_type: bool = False

    @property
    def allowed(self) -> str:
        """Return the allowed values in words, '' if every value of the type is allowed."""
        parts = []
        if self.range:
            unit = f' {self.unit}' if self.unit else ''
            parts.append(f'{self.range[0]} to {self.range[1]}{unit}')
        if self.choices:
            parts.append(', '.join(self.choices))
        if self.constraint:
            parts.append(self.constraint)
        return '; '.join(parts)

    def check(self, value: Any) -> None:
        """Raise TypeError or ValueError that names the setting if the value is not allowed."""
        kind = type(self.default)
        accepted = (int, float) if kind is float else (list, tuple) if kind is list else kind
        is_number = kind in (int, float)
        if not self.any_type and (
            not isinstance(value, accepted) or (is_number and isinstance(value, bool))
        ):
            what = f'one of {", ".join(self.choices)}' if self.choices else _KINDS[kind]
            limits = f' from {self.range[0]} to {self.range[1]}' if self.range else ''
            raise TypeError(f'{self.name} must be {what}{limits}, got {value!r}')
        if self.choices and value not in self.choices:
            raise ValueError(
                f'{self.name} must be one of {", ".join(self.choices)}; got {value!r}'
            )
        if self.range and not self.range[0] <= value <= self.range[1]:
            raise ValueError(
                f'{self.name} must lie between {self.range[0]} and {self.range[1]}, got {value}'
            )


def setting(default: Any, help: str, **attributes: Any) -> Any:  # noqa: A002
    """
    Return a dataclass field for a setting; see `Setting` for the attributes.

    A list as default is copied for each instance.
    """
    row = Setting('', default, help, **attributes)
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={_KEY: row})
    return field(default=default, metadata={_KEY: row})


def table_of(group: Any) -> dict[str, Setting]:
    """Return the settings of a dataclass or of one of its instances, by name, in order."""
    return {
        each.name: replace(each.metadata[_KEY], name=each.name)
        for each in fields(group)
        if _KEY in each.metadata
    }


def check_settings(group: Any) -> None:
    """Raise TypeError or ValueError that names the first setting whose value is not allowed."""
    for name, row in table_of(group).items():
        row.check(getattr(group, name))


def make_settings(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """
    Return a group of settings from values by name; others have their defaults.

    Raises TypeError that names unknown settings and, for a setting that was renamed
    (`kind.RENAMED`, old name to what to write instead), its new name.
    """
    known = table_of(kind)
    for name in values:
        if name in getattr(kind, 'RENAMED', {}):
            raise TypeError(f'the setting {name} was renamed: use {kind.RENAMED[name]}')
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TypeError(f'unknown setting {", ".join(unknown)}: choose from {", ".join(known)}')
    return kind(**values)
