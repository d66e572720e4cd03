# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The ROS 2 part of the package: nodes, messages and parameters.

- Nodes: the detector's folder, `tracker_node`, `visual_odometry_node`, `player_node` with its
  `player_parameters`; for other programs `rerun_node`, `rtabmap_node`.
- Programs that run them: `run_node`, `program_signals`, `process_environment`, `parameter_files`.
- Base of the nodes: `lifecycle_node`, `parameters`, `node_log`; `diagnostics` from
  `frame_statistics`. The topics that nodes receive have a folder.
- Launch files: `launch_arguments`, `camera_topics`.
"""
