# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Calibrations as files: the YAML that ROS's camera_calibration writes and drivers read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from superpoint_ros.data.sequences.sequence import Intrinsics


def read_calibration(path: str | Path) -> Intrinsics:
    """
    Return the calibration in a file as `camera_calibration` writes it.

    It has image_width, image_height, distortion_model, and camera_matrix and
    distortion_coefficients with their `data`. Raises FileNotFoundError where there is no such
    file, ValueError that names it where it is none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no calibration file {path}')
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ValueError(
            'calibrations are read by the library PyYAML: pip install pyyaml'
        ) from error
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        return Intrinsics(
            str(content.get('distortion_model', 'plumb_bob')),
            np.array(content['camera_matrix']['data'], float).reshape(3, 3),
            np.array(content['distortion_coefficients']['data'], float),
            (content['image_width'], content['image_height']),
        )
    except (KeyError, TypeError, AttributeError, ValueError, yaml.YAMLError) as error:
        raise ValueError(
            f'{path} is no calibration: it needs image_width, image_height, camera_matrix.data '
            f'(9 numbers) and distortion_coefficients.data ({error})'
        ) from error
