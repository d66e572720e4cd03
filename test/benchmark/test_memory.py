# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

import sys

import pytest

from superpoint_ros.benchmark.candidates import Execution, Network
from superpoint_ros.benchmark.frames import frames_of, read_photographs
from superpoint_ros.benchmark.memory import measure_memory
from superpoint_ros.files import default_weights


@pytest.mark.skipif(sys.platform != 'linux', reason='the system does not tell')
def test_a_large_image_takes_no_more_than_300_bytes_a_pixel():
    width, height = 1280, 960
    [frame] = frames_of(read_photographs()[:1], (width, height))
    shipped = Network('shipped', str(default_weights()))
    memory = measure_memory(shipped, Execution('torch'), frame, 0.015, keypoints=1000, threads=1)
    # The first layer's output alone: 16 channels of float32 for each pixel.
    assert 64 < memory.frame / (width * height) <= 300
    assert memory.process > memory.frame + 50e6
