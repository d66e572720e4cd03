import sys

import numpy as np
import pytest

from superpoint_ros.benchmark.contenders import Execution
from superpoint_ros.benchmark.memory import measure_memory


@pytest.mark.skipif(sys.platform != 'linux', reason='the system does not tell')
def test_a_large_frame_s_memory_is_seen(tiny):
    width, height = 1280, 960
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    memory = measure_memory(tiny, Execution('torch'), frame, 0.5, keypoints=10, threads=1)
    # The first layers' outputs alone: 4 channels of float32 for each pixel.
    assert memory.frame > 4 * 4 * width * height
    assert memory.frame < 200 * width * height
    assert memory.process > memory.frame + 50e6
