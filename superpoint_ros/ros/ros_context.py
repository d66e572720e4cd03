# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Taking part in ROS for a while, from a program that has a job to do and then ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy


@contextmanager
def ros_session() -> Iterator[None]:
    """
    Take part in ROS until the block ends; raise KeyboardInterrupt where a signal ended it.

    SIGINT and SIGTERM shut ROS down behind the block's back. Whatever it asks of rclpy next fails,
    each call with an error of its own: ExternalShutdownException is only one of them.
    """
    rclpy.init(args=[])
    try:
        yield
    except Exception:
        if rclpy.ok():
            raise
        raise KeyboardInterrupt from None
    finally:
        rclpy.try_shutdown()
