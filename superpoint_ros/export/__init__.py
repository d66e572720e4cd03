# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network and its decoding in the formats of other programs and languages."""
