# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The program `tracker`: `ros2 run superpoint_ros tracker`, or `tracker` after `pip install`.

It imports next to nothing at first, so that it ends cleanly even while the rest is being imported.
"""

from __future__ import annotations

import sys

from superpoint_ros.ros.run_node import run_node


def main(args: list[str] | None = None) -> int:
    """Return the exit status: 0 after SIGINT or SIGTERM, 1 where the node cannot start."""
    return run_node('tracker', _load, args)


def _load():
    from superpoint_ros.ros.tracker_node import TrackerNode

    return TrackerNode


if __name__ == '__main__':
    sys.exit(main())
