# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The options that several commands share, and what is made of them.

Those of the detector come from its tables, `ExecutionSettings` and `DetectionSettings`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
import math
from os.path import realpath
from pathlib import Path
from typing import Any, TYPE_CHECKING

from superpoint_ros.cli.settings_options import add_options, given_options
from superpoint_ros.common.file_writing import check_writable
from superpoint_ros.common.settings_table import table_of
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines.execution_settings import ExecutionSettings

if TYPE_CHECKING:
    import numpy as np

    from superpoint_ros.detector import Detector

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


def print_written(files: Iterable[Path]) -> None:
    """Print the names of files that a command has written."""
    print(f'written: {", ".join(map(str, files))}')


def make_detector(args: argparse.Namespace, **settings: Any) -> Detector:
    """Return the detector of the command line; `settings` replace those that it gives."""
    from superpoint_ros.detector import Detector

    settings = {**given_settings(args), **settings}
    return Detector.from_weights(settings.pop('weights', None), **settings)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of absolute paths, as few as distinguish all of them."""
    names: list[str] = []
    for parts in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        names = ['/'.join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names
