# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The command `superpoint`: one module for each command.

- The program: `main`, which names the commands; `memory_errors`.
- Detection: `detect`, `match`, `explain`, `export`, `export_colmap`, `quantise`, `compile`.
- ROS: `demo`, `process_bag`, `soak`, `rerun`, `rtabmap_bridge`.
- Training: `adapt`, `train`.
- Data: `make_benchmark`, `make_sequence`, `render_pairs`.
- Measurements: `benchmark`; `evaluate` with `evaluate_shapes`, `evaluate_homography`,
  `evaluate_scenes`, `evaluate_odometry`, `evaluate_threshold`.
- Shared options: `options`, `settings_options`, `recipe_options`, `method_options`,
  `scene_options`, `rerun_option`.
"""
