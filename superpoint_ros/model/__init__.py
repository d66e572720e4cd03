# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The SuperPoint network and its weight files.

- The network: `config`, `superpoint` (PyTorch), `network_arrays` (NumPy, for all engines).
- Files: `weights`, and `pytorch_files` of other programs.
- Dead channels: `pruning`.
"""
