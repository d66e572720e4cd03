# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The ROS 2 part of the package: nodes, messages and parameters."""
