# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Images, sequences and generated training data.

Its folders read files, cameras and bags (sequences), and generate rendered scenes and synthetic
shapes.

- Pixels of messages: `image_encodings`.
- Random changes of images: `random_homographies`, `photometric`.
- Pairs with known homographies: `hpatches`, `benchmark_from_photographs`.
"""
