# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What tests of several rooms look at."""

import pytest

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.files import demo_photographs


@pytest.fixture(scope='session')
def photograph():
    """Return a gray photograph whose sides are no whole cells, uint8 (211, 301)."""
    [path] = [path for path in demo_photographs() if path.stem == 'bricks']
    return read_image(path)[:211, :301].copy()
