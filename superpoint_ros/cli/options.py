# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The options that several commands share, and what is made of them.

Those of the detector come from its tables, `ExecutionSettings` and `DetectionSettings`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
import math
from os.path import realpath
from pathlib import Path
from typing import Any, TYPE_CHECKING

from superpoint_ros.cli.settings_options import add_options, given_options, refuse_option
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.files import check_writable
from superpoint_ros.settings_table import table_of

if TYPE_CHECKING:
    import numpy as np

    from superpoint_ros.detector import Detector
    from superpoint_ros.evaluation.baselines import Method

EXACT = {'precision': 'float32'}
"""Defaults of evaluations: results of the weights, not of the precision that is fast here."""


def add_detector_options(
    parser: argparse.ArgumentParser,
    defaults: Mapping[str, Any] | None = None,
    names: Collection[str] | None = None,
) -> None:
    """
    Add the options for a detector: weights, how the network runs, and all detection settings.

    `defaults` are values of the command that replace defaults of the tables; `names` are the
    settings of execution that become options, None for all.
    """
    add_options(parser, ExecutionSettings, names, defaults)
    add_options(parser, DetectionSettings, None, defaults, types={'keypoints': _keypoints})


def _keypoints(text: str) -> str:
    """Return the value of `--keypoints`, which was a number in earlier versions."""
    if text.isdigit():
        raise argparse.ArgumentTypeError('a number of keypoints is --max-keypoints N')
    return table_of(DetectionSettings)['keypoints'].parse(text)


def given_execution(args: argparse.Namespace) -> dict[str, Any]:
    """Return the execution settings that the command line gives, by name."""
    given = given_options(args, ExecutionSettings)
    given.pop('weights', None)
    return given


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return all settings of the detector that the command line gives, by name."""
    return {**given_options(args, ExecutionSettings), **given_options(args, DetectionSettings)}


def number(low: float, high: float, kind: type = float) -> Callable[[str], float]:
    """Return a function that reads a number of the kind, int or float, between two limits."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f'{text!r} is not a number from {low} to {high}')
        return value

    return parse


def image_size(text: str) -> tuple[int, int]:
    """Return the width and height of a text such as '640x480'."""
    sides = text.lower().split('x')
    if len(sides) != 2 or not all(side.isdigit() and 16 <= int(side) <= 8192 for side in sides):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a size from 16x16 to 8192x8192, such as 640x480'
        )
    return int(sides[0]), int(sides[1])


def add_out(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option `--out` for the folder of the results, described by `what`."""
    parser.add_argument('--out', required=True, type=output_folder, metavar='DIR', help=what)


def output_folder(text: str) -> Path:
    """Return the path of a folder for results; raise OSError now if nothing can be written."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f'{path} is a file: name a folder for the results')
    check_writable(path)
    return path


def output_file(text: str) -> Path:
    """Return the path of a file for the result; raise OSError now if it cannot be written."""
    path = Path(text)
    if path.is_dir():
        raise IsADirectoryError(f'{path} is a folder: name a file for the result')
    check_writable(path.parent)
    return path


def image_files(sources: Iterable[str | Path]) -> list[Path]:
    """Return the files named, and for each folder its images; raise ValueError if none."""
    from superpoint_ros.data.sequences.bag_reader import is_bag
    from superpoint_ros.data.sequences.image_files import list_images

    sources, paths = list(map(Path, sources)), []
    for source in sources:
        found = list_images(source) if source.is_dir() else [source]
        if is_bag(source) and found in ([], [source]):
            raise ValueError(
                f'{source} is a bag, not an image: add features to it with `superpoint '
                'process-bag`, or play it with `superpoint demo`'
            )
        paths += found
    if not paths:
        raise ValueError(f'there are no images in {", ".join(map(str, sources))}')
    return paths


def read_for_detection(path: str | Path, color: bool = False, longest_side: int = 0) -> np.ndarray:
    """
    Return an image as `read_image`, reduced to `longest_side` in pixels; 0: no limit.

    Raises ValueError that names the image if it is too small.
    """
    from superpoint_ros.data.sequences.image_files import read_image, reduce_to_side

    image = reduce_to_side(read_image(path, color), longest_side)
    check_images([image], path)
    return image


@contextmanager
def naming_lack_of_memory(path: str | Path) -> Iterator[None]:
    """Replace an error of lacking memory by a ValueError that names the image at this path."""
    from superpoint_ros.cli.main import is_out_of_memory, OUT_OF_MEMORY

    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = f'{path}: {OUT_OF_MEMORY}; --max-image-size reduces large images'
        raise ValueError(reason) from error


def check_images(images: Iterable[np.ndarray], path: str | Path) -> None:
    """Raise ValueError that names the path if one of its images cannot be processed."""
    from superpoint_ros.detection.preprocessing import check_image

    try:
        for image in images:
            check_image(image)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def keep_inputs(inputs: Iterable[str | Path], outputs: Iterable[Path]) -> None:
    """Raise ValueError if a file or folder that a command writes is one that it reads."""
    read = set(map(realpath, inputs))
    for path in outputs:
        if realpath(path) in read:
            raise ValueError(f'the results would replace the input {path}: choose another --out')


def interrupted(error: OSError, complete: str, path: Path) -> OSError:
    """Return the error of a command that can be continued; `complete` says what is done."""
    reason = error.strerror or error
    again = 'the same command continues when there is space again'
    return OSError(error.errno, f'{reason}; complete: {complete}; {again}', str(path))


def print_written(files: Iterable[Path]) -> None:
    """Print the names of files that a command has written."""
    print(f'written: {", ".join(map(str, files))}')


def make_detector(args: argparse.Namespace, **settings: Any) -> Detector:
    """Return the detector of the command line; `settings` replace those that it gives."""
    from superpoint_ros.detector import Detector

    settings = {**given_settings(args), **settings}
    return Detector.from_weights(settings.pop('weights', None), **settings)


def add_method_options(
    parser: argparse.ArgumentParser,
    methods: tuple[str, ...],
    max_keypoints: int,
    extra: tuple[str, ...] = (),
    **settings: float,
) -> None:
    """
    Add the options for a comparison with baselines; `extra` are more names of baselines.

    `settings` are defaults of the command for settings of the detection.
    """
    names = ', '.join(('sift', 'orb', 'akaze', *extra))
    parser.add_argument(
        '--methods',
        nargs='*',
        default=list(methods),
        metavar='NAME',
        help=f'baselines: {names}; none without a name (default: {" ".join(methods)})',
    )
    parser.add_argument(
        '--weights',
        nargs='+',
        metavar='FILE',
        default=[''],
        help='weight files to compare (default: the weights that are shipped)',
    )
    defaults = {**EXACT, 'max_keypoints': max_keypoints, **settings}
    execution = ('device', 'precision', 'engine', 'threads', 'providers')
    add_detector_options(parser, defaults, execution)
    refuse_option(parser, '--heatmap', '--keypoints heatmap')


def add_matching_options(parser: argparse.ArgumentParser, max_pairs: str) -> None:
    """
    Add `--max-pairs`, with a help text, `--pictures` and `--wide` to a comparison of methods.

    `with_wide` reads the last.
    """
    parser.add_argument('--max-pairs', type=number(1, 10**6, int), metavar='N', help=max_pairs)
    parser.add_argument(
        '--pictures',
        type=number(0, 1000, int),
        default=4,
        metavar='N',
        help='drawings of matches (default: 4)',
    )
    parser.add_argument(
        '--wide',
        action='store_true',
        help='also measure the matching of images from distant viewpoints, which takes longer',
    )


def with_wide(args: argparse.Namespace, methods: list[Method]) -> list[Method]:
    """Return the methods and, with `--wide`, our detectors with wide matching after them."""
    from superpoint_ros.evaluation.baselines import wide_method

    ours = methods[: len(args.weights)] if args.wide else []
    return methods + [wide_method(method, args.max_keypoints) for method in ours]


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


def make_methods(
    args: argparse.Namespace, leave_out: Collection[str] = (), **settings: Any
) -> list[Method]:
    """
    Return the methods to compare: a detector for each weight file, then the baselines.

    A detector is named after its file if there are several (`weight_names`). Baselines to
    `leave_out` are not detectors with descriptors. `settings` replace those that the command line
    gives. Raises ValueError if a weight file and a baseline have one name.
    """
    from superpoint_ros.evaluation.baselines import described_method, Method

    names = weight_names(args.weights) if len(args.weights) > 1 else ['SuperPoint']
    methods = [
        Method(name, make_detector(args, weights=weights, **settings))
        for name, weights in zip(names, args.weights, strict=True)
    ]
    baselines = [
        described_method(name, args.max_keypoints)
        for name in dict.fromkeys(args.methods)
        if name not in leave_out
    ]
    for baseline in baselines:
        if baseline.name in names:
            raise ValueError(f'a weight file is named as the baseline {baseline.name}: rename it')
    return methods + baselines


def weight_names(files: Sequence[str]) -> list[str]:
    """
    Return a name for each weight file: without suffix, with folders if names would be the same.

    Raises ValueError if a file is given twice.
    """
    paths = [Path(file).resolve().with_suffix('') for file in files]
    if len(set(paths)) < len(paths):
        raise ValueError(f'a weight file is given twice: {", ".join(files)}')
    return distinct_names(paths)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of absolute paths, as few as distinguish all of them."""
    names: list[str] = []
    for parts in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        names = ['/'.join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names
