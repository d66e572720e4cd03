# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The program `player`: `ros2 run superpoint_ros player`, or `player` after `pip install`.

It imports next to nothing at first, so that it ends cleanly even while the rest is being imported.
"""

from __future__ import annotations

import sys

from superpoint_ros.ros.run_node import run_node


def main(args: list[str] | None = None) -> int:
    """
    Return the exit status: 0 after SIGINT, SIGTERM or the last frame, 1 where it cannot play.

    `args` are the ROS arguments, by default those of the command line.
    """
    return run_node('player', _load, args)


def _load():
    from superpoint_ros.ros.player_node import PlayerNode

    return PlayerNode


if __name__ == '__main__':
    sys.exit(main())
