# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The options of commands with a recipe: their own, and every value of the recipe."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


def add_unread_options(parser: argparse.ArgumentParser) -> None:
    """Take the rest of the command line unread, for `read_recipe_options`."""
    options = parser.add_argument(
        'options', nargs=argparse.REMAINDER, help='options; --help lists them'
    )
    options.required = False  # before Python 3.13, errors name it among the missing ones


def recipe_parser(program: str) -> argparse.ArgumentParser:
    """Return a parser for the name of the recipe, and for options that are not values of it."""
    parser = argparse.ArgumentParser(prog=program, add_help=False, allow_abbrev=False)
    parser.add_argument('-h', '--help', action='store_true', help='show this help')
    parser.add_argument('--recipe', default='cpu', help='name or YAML file (default: cpu)')
    return parser


def read_recipe_options(
    parser: argparse.ArgumentParser, options: Sequence[str], stage: str, kind: type
) -> tuple[argparse.Namespace, Any]:
    """
    Return the command's own options and its recipe of the given kind, None if help was shown.

    Options that `parser` does not have override values of the recipe. Raises ValueError and
    FileNotFoundError for the recipe.
    """
    from superpoint_ros.training.recipe_files import help_of_values, read_recipe, recipe_path

    own, overrides = parser.parse_known_args(options)
    path = recipe_path(stage, own.recipe)
    if own.help:
        values = help_of_values(kind, path)
        parser.print_help()
        print(f'\nValues of the recipe {own.recipe}, each of which is an option:\n\n{values}')
        return own, None
    return own, read_recipe(kind, path, overrides)
