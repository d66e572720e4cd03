# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Speed of the package, compared in the same run with a plain baseline.

- Candidates: `candidates`, `plain_superpoint` (the baseline), `other_detectors`.
- Whole frames: `frame_times`, with `frame_memory`, and `roofline` on the limits of the `machine`.
- Other measurements: `scaling`, `node_latency`, `tracking_times`, `start_up`, `training_rates`.
- Report: `benchmark_report`, `benchmark_tables`, `benchmark_charts`.
"""
