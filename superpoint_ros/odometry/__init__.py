# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Tracking of features through an image sequence, and visual odometry from the tracks.

- Settings of both: `odometry_settings`.
- Tracker: `tracker`, `track_state`, `track_matching`, `geometric_check`, `motion_prediction`.
- Its positions, from image patches: `track_refinement`, `patch_alignment`; the loops are
  `patch_pixels`, `patch_preparation`, `patch_alignment_loops`, `patch_covariances`.
- Visual odometry: `visual_odometry`, `map_initialization`, `local_map`, `map_refinement`,
  `camera_motion`, `pose_uncertainty`.
- Its optimization: `pose_refinement`, `bundle_adjustment`; the loops are
  `bundle_adjustment_loops`, `reprojection_errors`, `levenberg_marquardt`.
- Pictures of both: `odometry_drawing`.
"""
