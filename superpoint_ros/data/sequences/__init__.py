# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Image sequences: files, folders, videos, cameras, public data sets and bags.

- All sequences: `sequence`, the classes; `opening`, the choice of a reader; `rectification`.
- Files: `image_files`, `frame_files`, `text_files`.
- Data sets: `euroc`, `euroc_writer`, `kitti`, `tum`.
- Bags: `bags`, `bag_reader`, `mcap_topics`.
- Others: `video`, `virtual_camera`.
- Of readers: `limited_warnings`.
"""
