# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Fixtures that start the detector and a camera as processes, and observers."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

# A conftest.py that skips would skip the whole run with pytest 7.
collect_ignore = [] if find_spec('rclpy') else ['demo', 'in_process']


@pytest.fixture(scope='session')
def random_weights(tmp_path_factory):
    """Return the path of a small network's untrained weights."""
    import torch

    from superpoint_ros.model.config import SuperPointConfig
    from superpoint_ros.model.superpoint import SuperPoint
    from superpoint_ros.model.weights import save_weights, WeightsMetadata

    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = SuperPoint(SuperPointConfig((4, 4, 8, 8), 8, 16))
    path = tmp_path_factory.mktemp('weights') / 'random.safetensors'
    save_weights(path, model, WeightsMetadata(recipe='random'))
    return path


@pytest.fixture
def start_detector():
    """Return a function that runs the detector program on a domain with ROS arguments."""
    from support.node_processes import run_detector

    programs = []

    def start(domain, *arguments):
        programs.append(run_detector(domain, *arguments))
        return programs[-1]

    yield start
    for program in programs:
        program.end()


@pytest.fixture
def start_camera():
    """Return a function that runs a camera on a domain."""
    from support.node_processes import CameraProgram

    programs = []

    def start(domain):
        programs.append(CameraProgram(domain))
        return programs[-1]

    yield start
    for program in programs:
        program.end()


@pytest.fixture
def start_observer():
    """Return a function that makes an observer of a domain."""
    from support.node_processes import FeaturesObserver

    observers = []

    def start(domain, features='features'):
        observers.append(FeaturesObserver(domain, features))
        return observers[-1]

    yield start
    for observer in observers:
        observer.close()


@pytest.fixture(scope='module')
def make_system():
    """Return a function that starts a detector, a camera and an observer, discovered."""
    from support.node_processes import System

    systems = []

    def make(domain, *arguments, **options):
        systems.append(System(domain, *arguments, **options))
        systems[-1].wait_until_ready()
        return systems[-1]

    yield make
    for system in systems:
        system.close()
