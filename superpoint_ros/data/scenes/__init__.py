# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rendered 3-D scenes: pairs of views with exact depth, pose, correspondences and visibility."""
