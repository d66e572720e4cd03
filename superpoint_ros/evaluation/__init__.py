# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Quality of detectors and descriptors on data with ground truth, compared with baselines.

- Measurements: `shapes_benchmark`, `homography_benchmark`, `scenes_benchmark`,
  `odometry_benchmark`, `threshold_sweep`; their settings are `evaluation_plans`.
- What is compared: `baselines`; `front_ends` of odometry.
- Metrics: `detection_metrics`, `pair_metrics`, `relative_pose`, `trajectories`.
- Of the odometry: `odometry_run`, `odometry_report`.
- Reports of all: `reports`.
- Explanation of a detection: `detection_steps`, `step_pictures`.
"""
