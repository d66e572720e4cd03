# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Protection from plugins of a ROS installation, and fixtures of several folders."""

from importlib.util import find_spec
import logging
import os
import sys

import pytest

if find_spec('torch') is None:
    raise pytest.UsageError(
        f'{sys.executable} has no PyTorch: activate the environment that has it, and run '
        'python -m colcon test (or python -m pytest)'
    )

# Nodes of tests, also in other processes, do not look for nodes on other machines.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

# Waiting threads of PyTorch leave the core to other tests. They would spin, which takes several
# times the processor time of the work if other processes use the cores, too.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

# ROS's pytest plugins import launch, which installs a class of loggers that do not propagate:
# caplog would stay empty. The package makes its loggers when it is imported.
logging.setLoggerClass(logging.Logger)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path, parent):
    """
    Return the usual collector of a module instead of launch_testing's.

    That imports the module while its folder is collected: the first module that is skipped as a
    whole would silently skip the folder, with pytest 7 the whole run.
    """
    return pytest.Module.from_parent(parent, path=module_path)


@pytest.fixture(scope='session')
def photograph():
    """Return a gray photograph whose sides are no whole cells, uint8 (211, 301)."""
    from superpoint_ros.data.sequences.image_files import read_image
    from superpoint_ros.resources import demo_photographs

    [path] = [path for path in demo_photographs() if path.stem == 'bricks']
    return read_image(path)[:211, :301].copy()


@pytest.fixture(scope='session')
def random_weights(tmp_path_factory):
    """Return the path of a small network's untrained weights."""
    from support.small_networks import write_weights

    return write_weights(tmp_path_factory.mktemp('weights') / 'random.safetensors', seed=5)


@pytest.fixture(scope='session')
def thread_counts():
    """Return how many threads PyTorch and OpenCV have before any fixture changes them."""
    import cv2
    import torch

    return torch.get_num_threads(), cv2.getNumThreads()


@pytest.fixture
def restore_threads(thread_counts):
    """Restore the numbers of threads of PyTorch and OpenCV after a test."""
    import cv2
    import torch

    yield
    torch.set_num_threads(thread_counts[0])
    cv2.setNumThreads(thread_counts[1])


@pytest.fixture
def write_bag(tmp_path):
    """Return a function that writes a bag (see `support.bags.write_bag`) and returns its path."""
    pytest.importorskip('rosbags.rosbag2', reason='needs the library rosbags')
    from support import bags

    def write(messages, name='bag', storage='mcap'):
        return bags.write_bag(tmp_path / name, messages, storage)

    return write
