# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""What tests of several rooms look at."""

import pytest

from superpoint_ros.resources import demo_photographs
from superpoint_ros.sequences import read_image


@pytest.fixture(scope='session')
def photograph():
    """Return a gray photograph whose sides are no whole cells, uint8 (211, 301)."""
    [path] = [path for path in demo_photographs() if path.stem == 'bricks']
    return read_image(path)[:211, :301].copy()
