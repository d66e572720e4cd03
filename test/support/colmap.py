# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""COLMAP without its own log, and calibrations for exports to it."""

import pycolmap
import yaml

pycolmap.logging.minloglevel = 3  # its own log is off


def write_calibration(path, camera):
    """Write the calibration of a `CameraModel` to a file, as ROS stores it."""
    path.write_text(
        yaml.safe_dump(
            {
                'image_width': camera.size[0],
                'image_height': camera.size[1],
                'distortion_model': camera.model,
                'camera_matrix': {'data': camera.matrix.ravel().tolist()},
                'distortion_coefficients': {'data': camera.distortion.tolist()},
            }
        )
    )
