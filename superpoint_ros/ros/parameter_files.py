# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Parameter files of the command line, which ROS ignores without a message for other nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
import re
from typing import Any

from rclpy.node import Node
import yaml

_PARAMETERS = 'ros__parameters'
_WILDCARDS = {'*': r'/\w+', '**': r'(/\w+)*'}


def warn_of_other_nodes(node: Node, arguments: Sequence[str]) -> None:
    """
    Warn of each parameter file in `arguments` that has parameters, but none for the node.

    ROS has read the files; one that cannot be read here is passed over.
    """
    name = node.get_fully_qualified_name()
    for before, path in pairwise(arguments):
        if before != '--params-file' or not Path(path).is_file():  # a pipe is empty by now
            continue
        try:
            # launch_ros writes tags of Python, such as tuples; this loader reads them as text.
            content = yaml.load(Path(path).read_bytes(), Loader=yaml.BaseLoader)  # noqa: S506
        except (OSError, yaml.YAMLError):
            continue
        named = list(node_names(content))
        if named and not any(is_name_of(each, name) for each in named):
            node.get_logger().warning(
                f'the parameter file {path} has no effect: it has parameters of '
                f'{", ".join(named)}, but the name of this node is {name} (use that name or /**)'
            )


def node_names(content: Any, prefix: str = '') -> Iterator[str]:
    """Return the names of the nodes, also with wildcards, that a parameter file is for."""
    for key, value in content.items() if isinstance(content, Mapping) else ():
        if key == _PARAMETERS:
            yield prefix
        else:
            yield from node_names(value, f'{prefix}/{str(key).lstrip("/")}')


def is_name_of(pattern: str, name: str) -> bool:
    """Return whether a name of `node_names` is that of a node, as ROS compares them."""
    parts = (_WILDCARDS.get(each, f'/{re.escape(each)}') for each in pattern.split('/')[1:])
    return re.fullmatch(''.join(parts), name) is not None
