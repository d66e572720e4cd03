# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""ROS domains of the tests: test runs at the same time do not see each other's nodes."""

from __future__ import annotations

import fcntl
from functools import cache
import os
from pathlib import Path
import tempfile

FIRST, COUNT = 1, 101
"""Domains that work on Linux with its default range of ports, see the ROS 2 documentation."""


@cache
def ros_domain(offset: int = 0) -> int:
    """
    Return a domain that this process alone uses; equal offsets give equal domains.

    The domain is reserved by a lock on a file until the process ends.
    """
    for index in range(COUNT):
        domain = FIRST + (os.getpid() * 7 + offset + index) % COUNT
        if _reserve(Path(tempfile.gettempdir()) / f'superpoint_ros_test_domain_{domain}'):
            return domain
    raise RuntimeError(f'all of the {COUNT} ROS domains are used by tests')


def _reserve(path: Path) -> bool:
    """Return whether this process has got the lock on a file, which it keeps to its end."""
    try:
        file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except PermissionError:  # of another user
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    return True
