# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Topics that nodes receive, with statistics, a watchdog and diagnostics.

- `input_topic` is the base, `processed_topic` that of tracker and odometry.
- Received in addition: `calibration_topic`, `frame_images`.
- Published for tf2, in addition: `camera_transforms`.
- Pairs of messages of two topics: `pairing`, `timed_pairing`.
- In use by all: `endpoints`, `silent_topics`.
"""
