# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Programs that drive nodes from outside: demos, latency and stress test."""
