# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Quality of detectors and descriptors on data with ground truth, compared with baselines."""
