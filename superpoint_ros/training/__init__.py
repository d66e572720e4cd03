# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Make weights: data sets, losses, recipes, the training loop."""
