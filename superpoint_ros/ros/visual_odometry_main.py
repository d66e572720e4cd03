# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The program `visual_odometry`, after `pip install` or by `ros2 run superpoint_ros`.

It imports next to nothing at first, so that it ends cleanly even while the rest is being imported.
"""

from __future__ import annotations

import sys

from superpoint_ros.ros.run_node import run_node


def main(args: list[str] | None = None) -> int:
    """Return the exit status: 0 after SIGINT or SIGTERM, 1 where the node cannot start."""
    return run_node('visual_odometry', _load, args)


def _load():
    from superpoint_ros.ros.visual_odometry_node import VisualOdometryNode

    return VisualOdometryNode


if __name__ == '__main__':
    sys.exit(main())
