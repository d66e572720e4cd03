# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A large image that needs more memory than there is raises an error; the process goes on."""

from __future__ import annotations

from importlib.util import find_spec
import resource

import numpy as np
import pytest

from superpoint_ros import Detector
from superpoint_ros.cli.memory_errors import is_out_of_memory
from superpoint_ros.detection import memory_limit
from superpoint_ros.detection.memory_limit import LARGE, limit_memory

GIBIBYTE = 2**30


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that gives a machine, or the container on it, this available memory."""
    monkeypatch.setattr(memory_limit, '_MEMORY', tmp_path / 'meminfo')
    monkeypatch.setattr(memory_limit, '_GROUP', tmp_path)

    def set_available(memory, swap=0, container='max', used=0, cached=0):
        text = f'MemAvailable: {memory // 1024} kB\nSwapFree: {swap // 1024} kB\n'
        (tmp_path / 'meminfo').write_text(text)
        (tmp_path / 'memory.max').write_text(f'{container}\n')
        (tmp_path / 'memory.current').write_text(f'{used}\n')
        (tmp_path / 'memory.stat').write_text(f'anon 1\nfile {cached}\n')

    return set_available


def fits(size):
    """Return whether this number of bytes can be allocated for a large image."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        with limit_memory(LARGE):
            np.empty(size, np.uint8)
    except MemoryError:
        return False
    finally:
        assert resource.getrlimit(resource.RLIMIT_DATA) == before
    return True


def test_a_large_image_may_take_the_memory_and_the_swap_that_are_available(machine):
    machine(2 * GIBIBYTE)
    assert fits(GIBIBYTE)
    assert not fits(3 * GIBIBYTE)
    machine(2 * GIBIBYTE, swap=2 * GIBIBYTE)
    assert fits(3 * GIBIBYTE)


def test_the_limit_of_a_container_counts_except_for_its_cached_files(machine):
    machine(8 * GIBIBYTE, container=4 * GIBIBYTE, used=3 * GIBIBYTE)
    assert not fits(2 * GIBIBYTE)
    machine(8 * GIBIBYTE, container=4 * GIBIBYTE, used=3 * GIBIBYTE, cached=2 * GIBIBYTE)
    assert fits(2 * GIBIBYTE)


def test_images_of_cameras_are_not_limited(machine):
    machine(0)
    with limit_memory(1920 * 1080):
        np.empty(GIBIBYTE, np.uint8)


def test_nothing_is_limited_where_the_available_memory_is_unknown(machine):
    with limit_memory(LARGE):  # there is no such file
        np.empty(GIBIBYTE, np.uint8)


@pytest.mark.parametrize('engine', ['torch', 'openvino', 'onnxruntime'])
def test_a_detector_goes_on_after_an_image_that_is_too_large(machine, engine):
    if engine != 'torch' and find_spec(engine) is None:
        pytest.skip(f'{engine} is not installed')
    machine(GIBIBYTE)  # enough for the detection, but not for the network
    detector = Detector.from_weights(device='cpu', engine=engine, precision='float32')
    large = np.zeros((4000, 4000), np.uint8)
    large[::50, ::50] = 255
    with pytest.raises(Exception, match='allocate') as raised:
        detector(large)
    assert is_out_of_memory(raised.value), raised.value
    assert len(detector(large[:480, :640])) > 0
