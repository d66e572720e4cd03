# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Tracking of features through an image sequence, and visual odometry from the tracks."""
