# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Speed of the package, compared in the same run with a plain baseline."""
