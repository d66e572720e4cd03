# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the commands that render 3-D scenes share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_scene_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commands that read 3-D scenes, except the scenes themselves."""
    parser.add_argument(
        '--street',
        nargs='+',
        type=Path,
        default=[],
        metavar='OBJECT',
        help='.glb files of single buildings and objects, or folders of them, for a street',
    )
    parser.add_argument(
        '--unit', type=float, default=1.0, metavar='M', help="the files' unit in metres"
    )
    parser.add_argument(
        '--up', choices=('z', 'y'), default='z', help="the files' axis that points up"
    )


def interrupted(error: OSError, complete: str, path: Path) -> OSError:
    """Return the error of a command that can be continued; `complete` says what is done."""
    reason = error.strerror or error
    again = 'the same command continues when there is space again'
    return OSError(error.errno, f'{reason}; complete: {complete}; {again}', str(path))
