# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The number of threads is the chosen one, PyTorch's, or one per core."""

import subprocess
import sys

SCRIPT = """
import os, sys
from superpoint_ros.detection.threads import set_thread_count, thread_count

cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
assert thread_count() == cores
assert 'torch' not in sys.modules
import torch
torch.set_num_threads(3)
assert thread_count() == 3
set_thread_count(2)
assert (thread_count(), torch.get_num_threads()) == (2, 2)
"""


def test_number_of_threads_follows_the_setting_and_pytorch():
    done = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
