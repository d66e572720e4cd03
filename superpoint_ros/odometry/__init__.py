# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Following features through a sequence of images, and the camera's motion from them."""
