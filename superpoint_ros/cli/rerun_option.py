# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The option `--rerun` of several commands."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from superpoint_ros.cli.options import output_file

if TYPE_CHECKING:
    from superpoint_ros.integrations.rerun_recording import RerunRecording


def add_rerun_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for a recording in Rerun; `open_recording` reads it."""
    parser.add_argument(
        '--rerun',
        nargs='?',
        const='',
        type=partial(recording_file, hint='write --rerun as the last word'),
        metavar='FILE.rrd',
        help='also show everything in the Rerun viewer, or write it to a file (needs rerun-sdk)',
    )


def recording_file(text: str, hint: str = 'leave it out') -> str:
    """
    Return the name of a recording; with `--rerun IMAGE` the image would be taken for it.

    The `hint` of the error says how to get the viewer. Raises OSError if it cannot be written.
    """
    if text and not text.endswith('.rrd'):  # argparse also checks the value of --rerun alone
        raise argparse.ArgumentTypeError(f'{text!r} does not end in .rrd; for the viewer, {hint}')
    if text:
        output_file(text)
    return text


def open_recording(file: str | None) -> AbstractContextManager[RerunRecording | None]:
    """
    Return a recording in Rerun as a context manager.

    `file` is the value of the option: None for no recording, '' for the viewer. Raises ValueError
    if rerun-sdk is not installed, and what `RerunRecording` raises.
    """
    if file is None:
        return nullcontext()
    try:
        from superpoint_ros.integrations.rerun_recording import RerunRecording
    except ModuleNotFoundError as error:
        raise ValueError(
            f"Rerun needs the module {error.name}: pip install '.[rerun]' in the folder of the "
            'sources'
        ) from error
    return RerunRecording(Path(file) if file else None)
