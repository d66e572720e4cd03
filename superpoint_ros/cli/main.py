# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The `superpoint` program: finds the command, passes it its arguments, reports its errors.

A command is a module of this package, named in `COMMANDS`, with two functions:
`add_arguments(parser)` declares its options, and `run(args)` does the work and returns the exit
status. Only the module of the given command is imported, and it imports torch and other slow
libraries inside `run`, so that `superpoint --help` is fast.

A command raises ValueError (or an OSError) with a message for the user if the input is wrong; the
user sees that one line instead of a traceback, unless `superpoint --traceback` is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import importlib
from importlib.util import find_spec
import logging
from pathlib import Path
import sys
from typing import Any, NamedTuple

from superpoint_ros import __version__
from superpoint_ros.cli.memory_errors import is_out_of_memory, OUT_OF_MEMORY
from superpoint_ros.common.interruptions import raised_interruptions, raising_signals, Terminated
from superpoint_ros.common.standard_streams import lasting_streams


class Command(NamedTuple):
    """One command: its module in this package, its help, and the pip extras that it needs."""

    module: str
    help: str
    extra: str = ''


COMMANDS = {
    'demo': Command('demo', 'run camera player and detector node, and measure', extra='ros'),
    'detect': Command('detect', 'draw and save the keypoints of images'),
    'match': Command('match', 'match the keypoints of two images'),
    'explain': Command('explain', 'show the steps of the detection in pictures'),
    'compile': Command('compile', 'compile for this processor, after an installation'),
    'train': Command('train', 'train a network, stage by stage', extra='train'),
    'adapt': Command('adapt', 'label photographs by homographic adaptation', 'train'),
    'render-pairs': Command('render_pairs', 'render pairs of views of 3-D scenes', 'scenes'),
    'quantise': Command('quantise', 'prepare weights for precision int8', 'openvino'),
    'export': Command('export', 'export weights or detector to other programs', 'export'),
    'export-colmap': Command('export_colmap', 'write features to a COLMAP database', 'colmap'),
    'evaluate': Command('evaluate', 'measure detectors on data with ground truth', 'evaluate'),
    'make-benchmark': Command('make_benchmark', 'make planar scenes from photographs'),
    'make-sequence': Command('make_sequence', 'render a flight through a 3-D scene', 'scenes'),
    'benchmark': Command('benchmark', 'measure the speed against plain PyTorch', 'benchmark'),
    'process-bag': Command('process_bag', 'add the features to a recorded bag', 'bags,ros'),
    'rerun': Command('rerun', 'show or record the topics of nodes in Rerun', 'rerun,ros'),
    'rtabmap-bridge': Command('rtabmap_bridge', 'join images and features for RTAB-Map', 'ros'),
    'soak': Command('soak', 'run the node under overload and check it', 'soak'),
}
"""Commands in the order of the help: detect, train, export, measure, and with running nodes."""

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_BAD_INPUT = (
    ValueError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Return the exit status of the command line `arguments` (default: `sys.argv`).

    0: done; 1: failed, or partly done; 2: the input or the command line is wrong; 130: Ctrl-C;
    143: SIGTERM.
    """
    with lasting_streams(), _shown_log(), raising_signals() as raised:
        return _run(list(sys.argv[1:] if arguments is None else arguments), raised)


def _run(arguments: list[str], raised: Sequence[KeyboardInterrupt]) -> int:
    """
    Return the exit status of the command line, after reporting its error.

    `raised` are the exceptions of signals so far.
    """
    command = _named_command(arguments)
    args = argparse.Namespace(traceback='--traceback' in arguments)  # while options are declared
    try:
        with raised_interruptions():
            args = _build_parser(command).parse_args(arguments)
            status = args.run(args)
        sys.stdout.flush()  # an error, such as a full disk, is reported as others
        return status
    except KeyboardInterrupt as interruption:
        return _report_interruption(interruption)
    except ModuleNotFoundError as error:
        if args.traceback or not error.name or error.name.startswith('superpoint_ros'):
            raise
        extras = COMMANDS[command].extra.split(',')
        if error.name == 'rclpy' and 'ros' not in extras:  # for an option of the command
            extras.append('ros')
        if find_spec('rclpy'):  # the extra ros would install it again over that of the system
            extras = [extra for extra in extras if extra != 'ros']
        package = f'.[{",".join(extras)}]' if any(extras) else '.'
        needed = f"pip install '{package}' in the folder of the sources"
        return _report(f'{command} needs the module {error.name}: {needed}', EXIT_FAILED)
    except (*_BAD_INPUT, OSError) as error:
        if args.traceback:
            raise
        return _report(error, EXIT_BAD_INPUT if isinstance(error, _BAD_INPUT) else EXIT_FAILED)
    except Exception as error:
        if raised:  # a library has lost the exception of a signal, and failed instead
            return _report_interruption(raised[-1])
        if args.traceback or not is_out_of_memory(error):
            raise
        return _report(OUT_OF_MEMORY, EXIT_FAILED)


def _named_command(arguments: Sequence[str]) -> str | None:
    """Return the command in the command line, None if it has none that exists."""
    words = [word for word in arguments if not word.startswith('-')]
    return words[0] if words and words[0] in COMMANDS else None


def _build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """Return the parser, in which only the `chosen` command has its options."""
    parser = _Parser(
        prog='superpoint',
        description='SuperPoint keypoints and descriptors: detect, train, evaluate.',
        epilog="'superpoint COMMAND --help' lists the options of a command.",
    )
    parser.add_argument('--version', action='version', version=f'superpoint_ros {__version__}')
    parser.add_argument('--traceback', action='store_true', help='show the traceback of an error')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help)
        if name == chosen:
            module = importlib.import_module(f'superpoint_ros.cli.{command.module}')
            subparser.description = (module.__doc__ or command.help).strip()
            subparser.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


class _Parser(argparse.ArgumentParser):
    """Parser that refuses empty names of files: an empty path stands for the current folder."""

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        """Return the value of an argument, and raise ArgumentError if it must not be empty."""
        value = super()._get_value(action, text)
        is_name = action.type is None or isinstance(value, Path)
        is_rest = action.nargs in (argparse.PARSER, argparse.REMAINDER)  # parsed by another parser
        if not text and is_name and not is_rest and action.default not in ('', ['']):
            raise argparse.ArgumentError(action, 'must not be empty: is a variable unset?')
        return value


@contextmanager
def _shown_log() -> Iterator[None]:
    """
    Print the warnings of the package, and what it logs about compilation, which takes a minute.

    A command whose log shows progress sets the level of the package's logger to INFO.
    """
    log, compilation = map(logging.getLogger, ('superpoint_ros', 'superpoint_ros.common.compiled'))
    before = log.level, log.propagate, compilation.level
    handler = _LineHandler()
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.WARNING)
    compilation.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate, compilation.level = before


class _LineHandler(logging.Handler):
    """Handler that prints each message as a line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        _print_line(record.getMessage())


def _report_interruption(interruption: KeyboardInterrupt) -> int:
    """Return the exit status of an interruption, after reporting it."""
    if isinstance(interruption, Terminated):
        return _report('terminated', EXIT_TERMINATED)
    return _report('interrupted', EXIT_INTERRUPTED)


def _report(problem: object, status: int) -> int:
    """Return `status`, after one line about the problem on standard error."""
    _print_line(f'superpoint: {_one_line(problem)}')
    return status


def _print_line(text: str) -> None:
    """Print a line on standard error."""
    tqdm = getattr(sys.modules.get('tqdm'), 'tqdm', None)  # None during its import, too
    if tqdm:  # a progress bar may be in the last line
        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr)


def _one_line(problem: object) -> str:
    """Return the text of the problem; of an error of the system without its number."""
    if isinstance(problem, OSError) and problem.strerror:
        where = f'{problem.filename}: ' if problem.filename else ''
        return f'{where}{" ".join(problem.strerror.split())}'  # of HDF5, several lines
    return ' '.join(str(problem).split())


if __name__ == '__main__':
    sys.exit(main())
