# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All that speaks ROS 2: the nodes, their messages and their parameters."""
