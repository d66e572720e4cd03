# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Text files of data sets and calibrations: tables of numbers, and YAML."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import re

import numpy as np

from superpoint_ros.common.file_reading import read_text
from superpoint_ros.data.sequences.sequence import with_known_size
from superpoint_ros.geometry.camera_model import CameraModel


def read_rows(
    path: Path, columns: int, separator: str | None = None, has_header: bool = False
) -> list[list[str]]:
    """
    Return the words of each line of a text file, without comments (#) and empty lines.

    If it may have a header, a first line without any number is left out, too. Raises ValueError
    that names file and line if a line has fewer than `columns` words.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = [word.strip() for word in line.split(separator)]
        if not any(words) or words[0].startswith('#'):
            continue
        is_header, has_header = has_header and not _has_number(words), False
        if is_header:
            continue
        if len(words) < columns:
            raise ValueError(
                f'{path}, line {number}: {columns} columns are needed, got {len(words)}'
            )
        rows.append(words)
    return rows


def _has_number(words: Iterable[str]) -> bool:
    """Return whether one of the words is a number."""
    for word in words:
        try:
            float(word)
        except ValueError:
            continue
        return True
    return False


def read_numbers(path: Path, columns: int, separator: str | None = None) -> np.ndarray:
    """
    Return the first columns of a text file of numbers, float64 (N, columns), without its header.

    Raises ValueError that names the file if a line is too short or has other words.
    """
    rows = [row[:columns] for row in read_rows(path, columns, separator, has_header=True)]
    try:
        return np.array(rows, np.float64).reshape(-1, columns)
    except ValueError as error:
        raise ValueError(f'{path} must have {columns} numbers in each line: {error}') from error


def read_calibration(path: str | Path) -> CameraModel:
    """
    Return the calibration in a YAML file of ROS's camera_calibration, or a sensor.yaml of EuRoC.

    The former has image_width, image_height, distortion_model, and camera_matrix and
    distortion_coefficients with `data`; the latter is described in `read_sensor`. Raises
    FileNotFoundError if there is no such file, ValueError that names it if it is not valid.
    """
    path = Path(path)
    content = _read_yaml(path)
    try:
        if 'intrinsics' in content:
            return _euroc_camera(content)
        camera = CameraModel(
            str(content.get('distortion_model', 'plumb_bob')),
            np.array(content['camera_matrix']['data'], float).reshape(3, 3),
            content['distortion_coefficients']['data'],
            (content['image_width'], content['image_height']),
        )
        return with_known_size(camera)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(
            f'{path} is not a calibration: image_width, image_height, camera_matrix.data '
            '(9 numbers) and distortion_coefficients.data are needed, or those of a sensor.yaml '
            f'of EuRoC ({type(error).__name__}: {error})'
        ) from error


def read_sensor(path: Path) -> tuple[CameraModel, np.ndarray]:
    """
    Return the calibration in a sensor.yaml of EuRoC and the pose (4, 4) of the camera in the body.

    The file has resolution, intrinsics (fu, fv, cu, cv), distortion_model,
    distortion_coefficients and T_BS with `data`. Raises FileNotFoundError if there is no such
    file, ValueError that names it if it is not valid.
    """
    content = _read_yaml(path)
    try:
        pose = np.array(content['T_BS']['data'], float).reshape(4, 4)
        if not np.isfinite(pose).all():
            raise ValueError('T_BS has numbers that are not finite')
        return _euroc_camera(content), pose
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(
            f'{path} is not a calibration of EuRoC: resolution, intrinsics, distortion_model, '
            f'distortion_coefficients and T_BS.data are needed ({type(error).__name__}: {error})'
        ) from error


def _euroc_camera(content: dict) -> CameraModel:
    """Return the calibration in the content of a sensor.yaml."""
    model = str(content['distortion_model'])
    fu, fv, cu, cv = content['intrinsics']
    matrix = np.array([[fu, 0, cu], [0, fv, cv], [0, 0, 1]], float)
    distortion, size = content['distortion_coefficients'], content['resolution']
    return with_known_size(CameraModel(model, matrix, distortion, size))


def _read_yaml(path: Path) -> dict:
    """Return the mapping in a YAML file; raise ValueError that names the file if there is none."""
    if not path.is_file():
        raise FileNotFoundError(f'there is no calibration file {path}')
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ValueError('calibrations are read by PyYAML: pip install pyyaml') from error
    try:
        # OpenCV writes the directive %YAML:1.0, which is not valid YAML, and this tag.
        text = re.sub('^%.*|!!opencv-matrix', '', read_text(path), flags=re.MULTILINE)
        content = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f'{path} is not a YAML file: {error}') from error
    if not isinstance(content, dict):
        raise ValueError(f'{path} is not a calibration: it has no names with values')
    return content
