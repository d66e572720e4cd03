# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

r"""
SuperPoint for RTAB-Map, through its Python interface for detectors (PyDetector).

RTAB-Map takes the path of this file and runs it for keypoints and descriptors:

    rtabmap --Kp/DetectorStrategy 15 --Vis/FeatureType 15 --PyDetector/Cuda false \
        --PyDetector/Path "$(python3 -m superpoint_ros.integrations.rtabmap)"

RTAB-Map runs it in an embedded Python, which may be outside of the virtual environment of this
package. Missing packages are taken from the environment named by RTABMAP_SUPERPOINT_ENVIRONMENT,
or else from the nearest `.venv` above this file. Packages that the embedded Python has come first,
so that NumPy is the one that RTAB-Map was compiled for.

Settings are read from environment variables: RTABMAP_SUPERPOINT_ and the name of a setting of
`ExecutionSettings` (except the device) or `DetectionSettings` in capitals, such as
RTABMAP_SUPERPOINT_MAX_KEYPOINTS.
"""

from __future__ import annotations

from importlib.util import find_spec
import os
from pathlib import Path
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from superpoint_ros.common.settings_table import Setting
    from superpoint_ros.detector import Detector

PREFIX = 'RTABMAP_SUPERPOINT_'
ENVIRONMENT = f'{PREFIX}ENVIRONMENT'
NEEDED = ('numpy', 'cv2', 'numba', 'safetensors')
"""Modules that every detector imports, besides those of the engine that runs the network."""

_detector: Detector | None = None


def init(cuda: int) -> None:
    """
    Load the network, on CUDA if `cuda` is not 0 and CUDA is available.

    Raises TypeError or ValueError that names an environment variable which is unknown, was
    renamed, or has a value that is not allowed; FileNotFoundError for the weight file;
    ModuleNotFoundError that names the missing packages and how to make them available.
    """
    global _detector
    find_packages()
    from superpoint_ros.detector import Detector

    device = 'auto' if cuda else 'cpu'
    settings = {'device': device, **_settings()}
    _detector = Detector.from_weights(settings.pop('weights', None), **settings)


def detect(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return keypoints (N, 3) and descriptors (N, D), float32, of a gray uint8 image (H, W).

    A keypoint is x and y in pixels, the centre of the top-left pixel being 0, 0, and its score.
    Both arrays are contiguous, because RTAB-Map reads their memory.
    """
    if _detector is None:
        raise RuntimeError('init(cuda) must be called before detect(image)')
    import numpy as np

    features = _detector(np.asarray(image))
    keypoints = np.column_stack([features.keypoints, features.scores])
    return (
        np.ascontiguousarray(keypoints, np.float32),
        np.ascontiguousarray(features.descriptors, np.float32),
    )


def find_packages() -> None:
    """
    Make this package and `NEEDED` importable.

    Raises ValueError if RTABMAP_SUPERPOINT_ENVIRONMENT is not an environment for this version of
    Python, ModuleNotFoundError that names what is missing.
    """
    # Not site.addsitedir: the .pth files of an environment may run code that is not meant for an
    # embedded Python. That of the ROS 2 wheels starts the program again.
    here = Path(__file__).resolve()
    if find_spec('superpoint_ros') is None:
        sys.path.append(str(here.parents[2]))
    named = os.environ.get(ENVIRONMENT)
    packages = Path('lib', f'python{sys.version_info[0]}.{sys.version_info[1]}', 'site-packages')
    if named and not (Path(named) / packages).is_dir():
        raise ValueError(
            f'{ENVIRONMENT}={named} has no {packages}: it must be a virtual environment of the '
            f'Python that RTAB-Map embeds, {sys.version.split()[0]}'
        )
    environments = [Path(named)] if named else [folder / '.venv' for folder in here.parents]
    for environment in environments:
        if os.access(environment / packages, os.R_OK | os.X_OK):  # it may be another user's
            if str(environment / packages) not in sys.path:
                sys.path.append(str(environment / packages))
            break
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f'Python {sys.version.split()[0]} in {sys.prefix}, which RTAB-Map embeds, does not '
            f'find {", ".join(missing)}: set {ENVIRONMENT} to the virtual environment that has '
            'them'
        )


def _table() -> dict[str, Setting]:
    """Return the settings that are environment variables, by name."""
    from superpoint_ros.common.settings_table import table_of
    from superpoint_ros.detection.settings import DetectionSettings
    from superpoint_ros.engines.execution_settings import ExecutionSettings

    table = {**table_of(ExecutionSettings), **table_of(DetectionSettings)}
    del table['device']  # RTAB-Map has a parameter for it
    return table


def _settings() -> dict[str, object]:
    """Return the settings in the environment by name."""
    from superpoint_ros.detection.settings import DetectionSettings

    settings, table = {}, _table()
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX) or not text or variable == ENVIRONMENT:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in DetectionSettings.RENAMED:
            new = DetectionSettings.RENAMED[name]
            setting, *rest = new.split(' ', 1)
            raise ValueError(
                f'{variable} was renamed: use {" ".join([PREFIX + setting.upper(), *rest])}'
            )
        if name not in table:
            known = ', '.join(each.upper() for each in table)
            raise ValueError(f'{variable} is unknown: choose from {PREFIX} and {known}')
        try:
            settings[name] = table[name].parse(text)
        except (TypeError, ValueError) as error:
            raise ValueError(f'{variable}: {error}') from error
    return settings


if __name__ == '__main__':
    sys.stdout.write(f'{Path(__file__).resolve()}\n')
