# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Export of the weights and of the whole detector for other programs and languages."""
