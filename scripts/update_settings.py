#!/usr/bin/env python3
# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Write the tables of settings into docs/*.md and the parameters into config/*.yaml.

A page has a table between `<!-- settings: TrackerSettings TrackOutput -->` and `<!-- end -->`, a
parameter file has parameters between `# settings: TrackerSettings` and `# end`. The words are
names of settings dataclasses. Needs the Python packages of ROS.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
import re
import sys
import textwrap
from types import UnionType
from typing import get_args, get_origin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from superpoint_ros.common.settings_table import Setting, table_of  # noqa: E402
from superpoint_ros.common.wording import plain_text  # noqa: E402

FILES = sorted([*ROOT.glob('docs/*.md'), *ROOT.glob('config/*.yaml')])

_TYPES = {bool: 'bool', int: 'integer', float: 'double', str: 'string'}
_PARTS = {
    '.md': re.compile(r'(<!-- settings: (.*?) -->\n).*?(?=<!-- end -->)', re.DOTALL),
    '.yaml': re.compile(r'(^ *# settings: (.*?)\n).*?(?=^ *# end$)', re.DOTALL | re.MULTILINE),
}


def main() -> None:
    """Bring all pages and parameter files up to date, and print those that were not."""
    for path in FILES:
        before = path.read_text(encoding='utf-8')
        after = updated(before, path.suffix)
        if after != before:
            path.write_text(after, encoding='utf-8')
            print(f'updated: {path.relative_to(ROOT)}')


def updated(text: str, suffix: str) -> str:
    """Return the text of a file, '.md' or '.yaml', with settings as their tables have them."""
    write = {'.md': _markdown, '.yaml': _yaml}[suffix]

    def replaced(part: re.Match) -> str:
        return part[1] + write([row for name in part[2].split() for row in _rows(name)])

    return _PARTS[suffix].sub(replaced, text)


def _rows(name: str) -> list[Setting]:
    """Return the rows of the group of this name; raise ValueError if there is none."""
    for path in sorted((ROOT / 'superpoint_ros').rglob('*.py')):
        if f'\nclass {name}(SettingsGroup' in path.read_text(encoding='utf-8'):
            module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
            return list(table_of(getattr(import_module(module), name)).values())
    raise ValueError(f'there is no group of settings {name} in superpoint_ros')


def _markdown(rows: list[Setting]) -> str:
    """Return rows as a Markdown table."""
    lines = ['| parameter | type | default | allowed | live | meaning |', '| --- ' * 6 + '|']
    for row in rows:
        live = 'yes' if row.live else 'no'
        cells = (
            f'`{row.name}`',
            _type(row.type),
            _plain(row.default),
            row.allowed,
            live,
            row.help,
        )
        lines.append('| ' + ' | '.join(cells).replace('|  |', '| |') + ' |')
    return '\n'.join(lines) + '\n'


def _yaml(rows: list[Setting]) -> str:
    """Return rows as parameters of a node, each after a comment, indented by four."""
    lines = []
    for row in rows:
        live = 'Live.' if row.live else 'Read-only.'
        allowed = f'Allowed: {row.allowed}. ' if row.allowed else ''
        for text in (row.help, allowed + live):
            lines += [f'    # {line}' for line in textwrap.wrap(text, 93, break_on_hyphens=False)]
        lines.append(f'    {row.name}: {_plain(row.default)}')
    return '\n'.join(lines) + '\n'


def _type(kind: object) -> str:
    """Return the name that ROS has for the type of a setting."""
    if get_origin(kind) is UnionType:
        return ' or '.join(map(_type, get_args(kind)))
    if get_origin(kind) is list:
        return f'{_TYPES[get_args(kind)[0]]} array'
    return _TYPES[kind]


def _plain(value: object) -> str:
    """Return a default as YAML has it."""
    return plain_text(value) or "''"


if __name__ == '__main__':
    main()
