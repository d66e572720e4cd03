# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Homographies, camera models, poses, and matching of points.

- Two images: `homography`, `alignment`; `matching` by descriptors, `guided_matching` near expected
  positions.
- Cameras: `camera_model`, `poses`, `projection`, `pose_estimation`, `trajectory_alignment`.
- Depths of keypoints: `depth_settings`, `depth_images`, `stereo` with `disparity`.
- Numerics: `robust_estimation`, `cholesky`.
"""
