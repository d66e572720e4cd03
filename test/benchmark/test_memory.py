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

import sys

import pytest

from superpoint_ros.benchmark.contenders import Execution, Network
from superpoint_ros.benchmark.frames import frames_of, read_photographs
from superpoint_ros.benchmark.memory import measure_memory
from superpoint_ros.resources import default_weights


@pytest.mark.skipif(sys.platform != 'linux', reason='the system does not tell')
def test_a_large_image_takes_no_more_than_300_bytes_a_pixel():
    width, height = 1280, 960
    [frame] = frames_of(read_photographs()[:1], (width, height))
    shipped = Network('shipped', str(default_weights()))
    memory = measure_memory(shipped, Execution('torch'), frame, 0.015, keypoints=1000, threads=1)
    # The first layer's output alone: 16 channels of float32 for each pixel.
    assert 64 < memory.frame / (width * height) <= 300
    assert memory.process > memory.frame + 50e6
