# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Command-line options made from tables of settings."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, get_args

from superpoint_ros.common.settings_table import make_settings, Setting, Settings, table_of
from superpoint_ros.common.wording import plain_text


def add_options(
    parser: argparse.ArgumentParser,
    kind: type,
    names: Collection[str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    types: Mapping[str, Callable[[str], Any]] | None = None,
) -> None:
    """
    Add one command-line option for each setting of a group; `read_options` reads them.

    The old name of a renamed setting is refused with the new one. This uses argparse rather than
    jsonargparse: the help comes from the table, which jsonargparse does not read, and the base
    package needs no further dependency.

    Args:
        parser: parser that gets the options.
        kind: dataclass of settings.
        names: settings that become options; None for all.
        defaults: values of the command that replace defaults of the table.
        types: functions that replace `Setting.parse` for the text of an option.

    """
    for name, row in table_of(kind).items():
        if names is not None and name not in names:
            continue
        default = (defaults or {}).get(name, argparse.SUPPRESS)
        shown = row.default if default is argparse.SUPPRESS else default
        parser.add_argument(
            _option(name),
            default=default,
            help=_help(row, shown),
            **_form(row, (types or {}).get(name)),
        )
    for old, new in kind.RENAMED.items():
        for option in (_option(old), _option(f'no_{old}')):
            refuse_option(parser, option, _option(new))


def refuse_option(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Add an option that only raises an error, which names what replaces it."""
    parser.add_argument(old, action=_Renamed, const=new, nargs='*')


def given_options(args: argparse.Namespace, kind: type) -> dict[str, Any]:
    """
    Return the settings of the command line by name.

    Settings that have the default of their table are left out.
    """
    given = {name: getattr(args, name) for name in table_of(kind) if hasattr(args, name)}
    return {name: tuple(x) if isinstance(x, list) else x for name, x in given.items()}


def read_options(args: argparse.Namespace, kind: type[Settings], **defaults: Any) -> Settings:
    """Return the settings of the command line; `defaults` replace those of their table."""
    return make_settings(kind, defaults | given_options(args, kind))


def _option(name: str) -> str:
    return f'--{name.replace("_", "-")}'


class _Renamed(argparse.Action):
    """Option of an earlier version: an error that names its successor."""

    def __init__(self, option_strings, dest, **attributes):
        super().__init__(option_strings, argparse.SUPPRESS, help=argparse.SUPPRESS, **attributes)

    def __call__(self, parser, namespace, values, option_string=None):
        parser.error(f'{option_string} was renamed: use {self.const}')


def _form(row: Setting, parse: Callable[[str], Any] | None) -> dict[str, Any]:
    """Return how argparse reads the option of a setting."""
    if row.type is bool:
        return {'action': argparse.BooleanOptionalAction}
    many = {}
    if ... in get_args(row.type):
        many, row = {'nargs': '+'}, replace(row, type=get_args(row.type)[0])
    return {'type': parse or partial(_parse, row), 'metavar': _metavar(row), **many}


def _metavar(row: Setting) -> str:
    """Return the placeholder of an option's value: its choices, the unit, N, X or its name."""
    if row.choices:
        return f'{{{",".join(row.choices)}}}'
    return row.unit.upper() if row.unit else {int: 'N', float: 'X'}.get(row.type, row.name.upper())


def _parse(row: Setting, text: str) -> Any:
    """Return the value of an option from its text; argparse reports the error."""
    try:
        return row.parse(text)
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _help(row: Setting, default: Any) -> str:
    """Return the help text of an option."""
    default = {'': 'empty', None: 'none'}.get(default, default)
    default = default if isinstance(default, tuple) else (default,)
    text = ' '.join(map(plain_text, default)) or 'none'
    facts = [] if row.choices or not row.allowed else [row.allowed]
    return f'{row.help} ({"; ".join([*facts, f"default: {text}"])})'.replace('%', '%%')
