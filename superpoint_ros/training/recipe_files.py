# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Recipe files: YAML with values of a recipe; values that are missing have their defaults.

Each value can be overridden on the command line by an option with its name:
``--max_steps 1000 --homography.max_rotation 30``.
"""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
import re
from types import NoneType
from typing import Any, TypeVar

from jsonargparse import ArgumentError, ArgumentParser
import yaml

from superpoint_ros.common.settings_table import table_of
from superpoint_ros.resources import RECIPES

RENAMED_RECIPES = {('superpoint', 'repeats'): 'repeatability'}
"""Recipes of earlier versions: (stage, name) and the new name."""

MAY_CHANGE = frozenset(
    {'workers', 'checkpoint_minutes', 'validate_every', 'validation_images', 'log_every'}
)
"""Values that do not change the weights; a resumed run may change them."""

Recipe = TypeVar('Recipe')


def shipped_recipes(stage: str) -> list[str]:
    """Return the names of the recipes of a stage that come with the package."""
    return sorted(path.stem.partition('_')[2] for path in RECIPES.glob(f'{stage}_*.yaml'))


def recipe_path(stage: str, recipe: str) -> Path:
    """
    Return the file of a recipe, given the name of a shipped one or a path.

    Raises FileNotFoundError that lists the shipped names if it is neither.
    """
    names = shipped_recipes(stage)
    if recipe in names:
        return RECIPES / f'{stage}_{recipe}.yaml'
    if Path(recipe).is_file():
        return Path(recipe)
    if (stage, recipe) in RENAMED_RECIPES:
        raise FileNotFoundError(
            f'the recipe {recipe} was renamed: use {RENAMED_RECIPES[stage, recipe]}'
        )
    raise FileNotFoundError(
        f'there is no recipe {recipe}: name a YAML file or one of {", ".join(names)}'
    )


def recipe_parser(kind: type) -> ArgumentParser:
    """Return a parser with one option for each value of this kind of recipe."""
    parser = ArgumentParser(exit_on_error=False, add_help=False, usage=SUPPRESS)
    parser.add_argument('--recipe', action='config')
    parser.add_class_arguments(kind)
    # The commands document --recipe; printing the values is what their --help is for.
    helps = {'recipe': SUPPRESS, 'print_config': SUPPRESS, **dict(_help_texts(kind))}
    for action in parser._actions:
        action.help = helps.get(action.dest, action.help)
    return parser


def _help_texts(kind: type, prefix: str = '') -> Iterator[tuple[str, str]]:
    """Return the help text of each value by its name, those of nested groups too."""
    for name, row in table_of(kind).items():
        if is_dataclass(row.type):
            yield from _help_texts(row.type, f'{prefix}{name}.')
        else:
            yield prefix + name, f'{row.help} [{row.allowed}]' if row.allowed else row.help


def help_of_values(kind: type, path: str | Path) -> str:
    """
    Return a text on all values, which gives those in a recipe file as defaults.

    Raises ValueError as `read_recipe`.
    """
    parser = recipe_parser(kind)
    parser.set_defaults(_read_file(kind, path, parser))
    return parser.format_help()


def read_recipe(kind: type[Recipe], path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """
    Return the recipe in a YAML file with values overridden, such as ``['--batch', '8']``.

    Names may be written with hyphens. Raises ValueError that names a value that is unknown,
    renamed, of the wrong type or out of range.
    """
    parser = recipe_parser(kind)
    file = [f'--recipe={path}'] if _read_file(kind, path, parser) else []
    overrides = [_underscored(override) for override in overrides]
    options = [each[2:].partition('=')[0] for each in overrides if each.startswith('--')]
    _check_renamed(kind, options)
    try:
        values = parser.instantiate(parser.parse_args([*file, *overrides]))
    except ArgumentError as error:
        problem = _explained(kind, error)
        raise ValueError(f'these options cannot be used: {problem}') from error
    try:
        return kind(**{value.name: values[value.name] for value in fields(kind)})
    except TypeError as error:  # of a value of a file: those of options are strings
        raise ValueError(f'the recipe {path} cannot be used: {error}') from error


def _read_file(kind: type, path: str | Path, parser: ArgumentParser) -> dict[str, Any]:
    """Return the values that a recipe file has; raise ValueError if the parser refuses one."""
    try:
        written = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'the recipe {path} is not YAML: {error}') from error
    if not isinstance(written, (dict, NoneType)):
        raise ValueError(f"the recipe {path} must be lines of 'name: value', got {written!r}")
    if not written:
        return {}
    _check_renamed(kind, written)
    try:
        parser.parse_args([f'--recipe={path}'])
    except ArgumentError as error:
        problem = _explained(kind, error)
        raise ValueError(f'the recipe {path} cannot be used: {problem}') from error
    return written


def _explained(kind: type, error: ArgumentError) -> str:
    """Return what is wrong; of a value of another type, what its setting allows."""
    found = re.search('Parser key "([^"]+)".*Got value: (.*)', str(error), re.DOTALL)
    if not found:
        return str(error)
    *groups, name = found[1].split('.')
    for group in groups:
        kind = table_of(kind)[group].type
    try:
        replace(table_of(kind)[name], name=found[1]).check(found[2])
    except (TypeError, ValueError) as problem:
        return str(problem)
    return str(error)


def _check_renamed(kind: type, names: Iterable[Any]) -> None:
    """Raise ValueError for the first name of an earlier version."""
    for name in names:
        if name in kind.RENAMED:
            raise ValueError(f'the recipe value {name} was renamed: use {kind.RENAMED[name]}')


def _underscored(argument: str) -> str:
    """Return an option with underscores instead of hyphens in its name."""
    if not argument.startswith('--'):
        return argument
    name, equals, value = argument[2:].partition('=')
    return f'--{name.replace("-", "_")}{equals}{value}'


def recipe_as_yaml(recipe: Any) -> str:
    """Return the recipe as text that `read_recipe` reads."""
    return yaml.safe_dump(asdict(recipe), sort_keys=False)


def check_same_recipe(recorded: dict, recipe: Any, checkpoint: str) -> None:
    """
    Raise ValueError if a checkpoint was written under a recipe that gives other weights.

    `recorded` is the recipe of the checkpoint as a dictionary; `checkpoint` names it in messages.
    """
    current = asdict(recipe)
    if recorded.keys() != current.keys():
        raise ValueError(
            f'{checkpoint} was written by another version of this package or by another stage, '
            f'and cannot be resumed: start a new run from it with --start {checkpoint}'
        )
    differences = [
        f'{name} is {recorded[name]!r} there and {current[name]!r} here'
        for name in sorted(current)
        if recorded[name] != current[name] and name not in MAY_CHANGE
    ]
    if differences:
        raise ValueError(
            f'{checkpoint} belongs to another recipe: {"; ".join(differences)}. '
            'Resume with the recipe it was made with, or start in another folder'
        )
