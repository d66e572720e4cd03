# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Settings as tables: one declaration holds a setting's type, default, range, unit and help text.

A group of settings is a frozen dataclass derived from `SettingsGroup`, with fields made by
`setting`. ROS parameters (`superpoint_ros.ros.parameters`), command-line options
(`superpoint_ros.cli.settings_options`), the comments of the parameter files and the tables of the
documentation are all made from `table_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from functools import cache
import math
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, ClassVar, get_args, get_origin, get_type_hints, Literal, TypeVar, Union

Settings = TypeVar('Settings', bound='SettingsGroup')

_KEY = 'setting'
_WORDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number',
    str: 'a string',
    NoneType: 'none',
}
_PLURALS = {int: 'whole numbers', float: 'numbers', str: 'strings'}


@dataclass(frozen=True)
class Setting:
    """
    One row of a table of settings.

    Attributes:
        name: name of the field, the ROS parameter and (with hyphens) the command-line option.
        default: value if nothing else is given.
        help: one or two sentences in plain text, without the unit and the range.
        unit: unit of the value ('px', 's', 'deg', ...), or '' if it has none.
        range: (lowest, highest), both allowed, either None if there is no limit; or None. For a
            list or a tuple it applies to each element.
        above: number that the value must exceed, or None.
        below: number that the value must stay under, or None.
        choices: allowed values of a string setting, or (); those of a `Literal` type are found.
        constraint: further condition in words, or ''.
        live: whether a running node accepts a new value; false also if the group is not live.
        type: annotation of the field: bool, int, float, str, `X | None`, `list[X]`,
            `tuple[X, Y]`, `tuple[X, ...]`, `Literal[...]`, or another group of settings.

    """

    name: str
    default: Any
    help: str
    unit: str = ''
    range: tuple[float | None, float | None] | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    constraint: str = ''
    live: bool = True
    type: Any = None

    @property
    def allowed(self) -> str:
        """Return the allowed values in words, '' if every value of the type is allowed."""
        unit = f' {self.unit}' if self.unit else ''
        limits = f'{self._limits}{unit}' if self._limits and not self.constraint else ''
        return '; '.join(filter(None, (limits, ', '.join(self.choices), self.constraint)))

    @property
    def _limits(self) -> str:
        """Return the limits of a number in words, '' if there are none."""
        low, high = self.range or (None, None)
        if low is not None and high is not None:
            return f'{low} to {high}'
        lower = f'at least {low}' if low is not None else ''
        lower = f'greater than {self.above}' if self.above is not None else lower
        upper = f'at most {high}' if high is not None else ''
        upper = f'less than {self.below}' if self.below is not None else upper
        return ' and '.join(filter(None, (lower, upper)))

    def check(self, value: Any) -> None:
        """Raise TypeError or ValueError that names the setting if the value is not allowed."""
        if self.choices and value not in self.choices:
            kind = ValueError if isinstance(value, str) else TypeError
            raise kind(f'{self.name} must be one of {", ".join(self.choices)}; got {value!r}')
        if not _fits(value, self.type):
            words = _words(self.type)
            preposition = 'from' if self._limits[:1].isdigit() else 'and'
            limits = f' {preposition} {self._limits}' if self._limits else ''
            raise TypeError(f'{self.name} must be {words}{limits}, got {value!r}')
        wrong = [number for number in _numbers(value) if not self._is_allowed(number)]
        if wrong:
            limits = self._limits.replace(' to ', ' and ')
            verb = 'lie between' if ' to ' in self._limits else 'be'
            if ' and ' not in limits and not all(map(_is_finite, wrong)):  # no limit on one side
                limits = f'finite and {limits}' if limits else 'finite'
            raise ValueError(f'{self.name} must {verb} {limits}, got {value}')

    def _is_allowed(self, number: float) -> bool:
        """Return whether a number is finite and within the limits."""
        low, high = self.range or (None, None)
        return (
            _is_finite(number)
            and (low is None or low <= number)
            and (high is None or number <= high)
            and (self.above is None or self.above < number)
            and (self.below is None or number < self.below)
        )

    def parse(self, text: str) -> Any:
        """
        Return the value that a text stands for; not for lists, tuples and nested groups.

        Raises TypeError or ValueError that names the setting if the value is not allowed.
        """
        value = _parsed(text, self.type)
        self.check(value)
        return value


def setting(default: Any, help: str, **attributes: Any) -> Any:  # noqa: A002
    """
    Return a dataclass field for a setting; see `Setting` for the attributes.

    A default that can be changed, such as a list, is copied for each instance.
    """
    metadata = {_KEY: Setting('', default, help, **attributes)}
    try:
        hash(default)
    except TypeError:
        return field(default_factory=lambda: deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)  # for jsonargparse: it lists the fields of pure dataclasses alone
class SettingsGroup:
    """
    Base class of groups of settings; the help text of each field describes it.

    The constructor raises TypeError or ValueError that names the first setting whose value is not
    allowed, the value and what it may be. The class argument `live=False` makes no setting live.
    """

    LIVE: ClassVar[bool] = True
    RENAMED: ClassVar[Mapping[str, str]] = {}
    """Names of earlier versions, and what replaces each."""

    def __init_subclass__(cls, live: bool = True):
        cls.LIVE = live

    def __post_init__(self):
        for name, row in table_of(self).items():
            row.check(getattr(self, name))

    def check_order(self, lower: str, upper: str) -> None:
        """Raise ValueError if the setting `lower` is greater than the setting `upper`."""
        low, high = getattr(self, lower), getattr(self, upper)
        if low > high:
            raise ValueError(f'{lower} must be at most {upper}, {high}, got {low}')


def table_of(group: SettingsGroup | type[SettingsGroup]) -> dict[str, Setting]:
    """Return the settings of a group or of one of its instances, by name, in order."""
    return _table(group if isinstance(group, type) else type(group))


@cache
def _table(kind: type[SettingsGroup]) -> dict[str, Setting]:
    types = get_type_hints(kind)
    table = {}
    for each in fields(kind):
        if _KEY in each.metadata:
            row = each.metadata[_KEY]
            live = row.live and kind.LIVE
            row = replace(row, name=each.name, type=types[each.name], live=live)
            if get_origin(row.type) is Literal:
                row = replace(row, choices=get_args(row.type))
            table[each.name] = row
    return table


def make_settings(
    kind: type[Settings], values: Mapping[str, Any], others: Iterable[str] = ()
) -> Settings:
    """
    Return a group of settings from values by name; others have their defaults.

    Raises TypeError that names unknown settings and, for a setting that was renamed
    (`kind.RENAMED`, old name to what to write instead), its new name; TypeError or ValueError for
    a value that is not allowed. `others` are names that the caller also takes; the message about
    unknown settings lists them.
    """
    known = table_of(kind)
    for name in values:
        if name in kind.RENAMED:
            raise TypeError(f'the setting {name} was renamed: use {kind.RENAMED[name]}')
    unknown = sorted(set(values) - set(known))
    if unknown:
        names = ', '.join([*known, *others])
        raise TypeError(f'unknown setting {", ".join(unknown)}: choose from {names}')
    return kind(**values)


def _fits(value: Any, kind: Any) -> bool:
    """Return whether a value has the type of an annotation."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            return False
        if origin is list or ... in arguments:
            arguments = (arguments[0],) * len(value)
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    if kind in (int, float):
        number = Integral if kind is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    return isinstance(value, kind)


def _is_finite(number: float) -> bool:
    """Return whether a number is finite and within the range of floating-point numbers."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _words(kind: Any) -> str:
    """Return what a value of an annotation is, in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return ' or '.join(map(_words, arguments))
    if origin in (list, tuple):
        count = '' if origin is list or ... in arguments else f'{len(arguments)} '
        return f'a list of {count}{_PLURALS.get(arguments[0], "values")}'
    return _WORDS.get(kind) or f'a {kind.__name__}'


def _numbers(value: Any) -> Iterator[float]:
    """Yield the numbers in a value, which may be nested lists and tuples."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, Real) and not isinstance(value, bool):
        yield value


def _parsed(text: str, kind: Any) -> Any:
    """Return the value of an annotation that a text stands for, the text if there is none."""
    if get_origin(kind) in (Union, UnionType):
        values = (_parsed(text, each) for each in get_args(kind) if each is not str)
        return next((value for value in values if value is not text), text)
    if kind is bool:
        return {'true': True, 'false': False}.get(text.lower(), text)
    if kind is NoneType:
        return None if text.lower() == 'none' else text
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return text
    return text
