# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Fixtures that start the detector and a camera as processes, and observers."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

# A conftest.py that skips would skip the whole run with pytest 7.
collect_ignore = [] if find_spec('rclpy') else ['demo', 'in_process']


def started(make, end):
    """Yield a function like `make`; afterwards, end all that it has made."""
    made = []

    def start(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[-1]

    yield start
    for each in made:
        end(each)


@pytest.fixture
def start_detector():
    """Return a function that runs the detector program on a domain with ROS arguments."""
    from support.node_processes import Program, run_detector

    yield from started(run_detector, Program.end)


@pytest.fixture
def start_camera():
    """Return a function that runs a camera on a domain."""
    from support.node_processes import CameraProgram

    yield from started(CameraProgram, CameraProgram.end)


@pytest.fixture
def start_observer():
    """Return a function that makes an observer of a domain."""
    from support.node_processes import FeaturesObserver

    yield from started(FeaturesObserver, FeaturesObserver.close)


@pytest.fixture(scope='module')
def make_system():
    """Return a function that starts a detector, a camera and an observer, discovered."""
    from support.node_processes import System

    yield from started(System, System.close)
