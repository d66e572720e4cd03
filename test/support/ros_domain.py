# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""ROS domains of the tests: test runs at the same time do not see each other's nodes."""

import os

FIRST, COUNT = 1, 101
"""Domains that work on Linux with its default range of ports, see the ROS 2 documentation."""


def ros_domain(offset: int = 0) -> int:
    """Return a domain of this process; equal offsets give equal domains."""
    return FIRST + (os.getpid() * 7 + offset) % COUNT
