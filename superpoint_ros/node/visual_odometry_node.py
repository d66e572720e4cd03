# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
The program `visual_odometry`, after `pip install` or by `ros2 run superpoint_ros`.

It imports next to nothing at first, so that it ends cleanly even while the rest is being imported.
"""

from __future__ import annotations

import sys

from superpoint_ros.node.running import run_node


def main(args: list[str] | None = None) -> int:
    """Return the exit status: 0 after SIGINT or SIGTERM, 1 where the node cannot start."""
    return run_node('visual_odometry', _load, args)


def _load():
    from superpoint_ros.node.visual_odometry_component import VisualOdometryNode

    return VisualOdometryNode


if __name__ == '__main__':
    sys.exit(main())
