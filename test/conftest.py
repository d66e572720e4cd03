# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Logging as the package has it outside of tests, and a picture that many tests look at."""

from importlib.util import find_spec
import logging
import sys

import pytest

if find_spec('torch') is None:
    raise pytest.UsageError(
        f'{sys.executable} has no PyTorch: activate the environment that has it, and run '
        'python -m colcon test (or python -m pytest)'
    )

# ROS's pytest plugins import launch, which installs a class of loggers that do not propagate:
# caplog would stay empty. The package makes its loggers when it is imported.
logging.setLoggerClass(logging.Logger)


@pytest.fixture(scope='session')
def photograph():
    """Return a gray photograph whose sides are no whole cells, uint8 (211, 301)."""
    from superpoint_ros.data.sequences.image_files import read_image
    from superpoint_ros.files import demo_photographs

    [path] = [path for path in demo_photographs() if path.stem == 'bricks']
    return read_image(path)[:211, :301].copy()
