# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Parameters and parameter files of the command line that ROS ignores without a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
import re
from typing import Any

from rclpy.node import Node
import yaml

from superpoint_ros.ros.parameters import unknown_parameters

_PARAMETERS = 'ros__parameters'
_WILDCARDS = {'*': r'/\w+', '**': r'(/\w+)*'}


def warn_of_ignored_parameters(node: Node, arguments: Sequence[str]) -> None:
    """
    Warn of parameter files and parameters in `arguments` that have no effect on the node.

    Such a file has parameters of other nodes only. Such a parameter is set for this node, by its
    name or without any, but the node does not have it; names that resemble a known one are left
    to `warn_of_misspelt_names`. ROS has read the files; one that cannot be read here is passed
    over.
    """
    name, logger = node.get_fully_qualified_name(), node.get_logger()
    own = set(_single_parameters(name, arguments))
    for path, content in _parameter_files(arguments):
        named = node_names(content)
        if named and not any(is_name_of(each, name) for each in named):
            logger.warning(
                f'the parameter file {path} has no effect: it has parameters of '
                f'{", ".join(named)}, but the name of this node is {name} (use that name or /**)'
            )
        for each, parameters in _sections(content):
            own.update(_flat_names(parameters) if each == name else ())
    for unknown, similar in unknown_parameters(node).items():
        if unknown in own and not similar:
            logger.warning(
                f'the parameter {unknown} is unknown and is ignored; '
                f'ros2 param list {name} lists those of the node'
            )


def _parameter_files(arguments: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Return path and content of each parameter file that can be read."""
    for before, path in pairwise(arguments):
        if before != '--params-file' or not Path(path).is_file():  # a pipe is empty by now
            continue
        try:
            # launch_ros writes tags of Python, such as tuples; this loader reads them as text.
            yield path, yaml.load(Path(path).read_bytes(), Loader=yaml.BaseLoader)  # noqa: S506
        except (OSError, yaml.YAMLError):
            continue


def _single_parameters(name: str, arguments: Sequence[str]) -> Iterator[str]:
    """Return the parameters that `-p` sets for a node, or for any."""
    for before, rule in pairwise(arguments):
        if before in ('-p', '--param'):
            node, _, parameter = rule.partition(':=')[0].rpartition(':')
            if node in ('', name, name.rpartition('/')[2]):
                yield parameter


def _flat_names(parameters: Any, prefix: str = '') -> Iterator[str]:
    """Return the names of parameters, whose parts are joined by dots."""
    for key, value in parameters.items() if isinstance(parameters, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _flat_names(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}'


def node_names(content: Any) -> list[str]:
    """Return the names of the nodes, also with wildcards, that a parameter file is for."""
    return [name for name, _ in _sections(content)]


def _sections(content: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Return each name of `node_names` with the parameters of these nodes."""
    for key, value in content.items() if isinstance(content, Mapping) else ():
        if key == _PARAMETERS:
            yield prefix, value
        else:
            yield from _sections(value, f'{prefix}/{str(key).lstrip("/")}')


def is_name_of(pattern: str, name: str) -> bool:
    """Return whether a name of `node_names` is that of a node, as ROS compares them."""
    parts = (_WILDCARDS.get(each, f'/{re.escape(each)}') for each in pattern.split('/')[1:])
    return re.fullmatch(''.join(parts), name) is not None
