# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Measurements of detectors and descriptors on data whose truth is known, beside other methods."""
