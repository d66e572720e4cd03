# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Detection: from images and the network's output to keypoints and descriptors.

- For all: `settings`, `preprocessing`, `hessian_constants`.
- On tensors: `pipeline`, the sequence of the steps `heatmap`, `hessian`, `nms`, `descriptors`.
- On a CPU: `cpu`, the same sequence in compiled loops: `cpu_heatmap`, `cpu_hessian`, `cpu_nms`,
  `cpu_descriptors`. The loops of `cpu_hessian` are in `cpu_hessian_loops`, `cpu_hessian_rows`,
  `cpu_hessian_response` and `cpu_hessian_peaks`.
- Resources: `threads`, `helper_threads`, `memory_limit`.
- On request: `covariances`.
"""
