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
