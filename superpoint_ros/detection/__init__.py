# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Detection: from images and the network's output to keypoints and descriptors."""
