# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Points seen by one camera or two: projection, rays, parallax and triangulation.

Image points are undistorted, normalised coordinates (N, 2): x and y at distance 1. In this module
a pose is float64 (4, 4) and takes points of the world to the camera (x right, y down, z forward).
"""

from __future__ import annotations

import cv2
import numpy as np


def project(pose: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the image points (N, 2) of points (N, 3) of the world, and their depths (N)."""
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    depths = seen[:, 2]
    with np.errstate(divide='ignore', invalid='ignore'):
        return seen[:, :2] / depths[:, None], depths


def reprojection_errors(pose: np.ndarray, points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return distances (N) of points (N, 3) from image points; infinite behind the camera."""
    expected, depths = project(pose, points)
    errors = np.linalg.norm(expected - seen, axis=1)
    return np.where((depths > 1e-6) & np.isfinite(errors), errors, np.inf)


def rays(points: np.ndarray) -> np.ndarray:
    """Return the unit vectors (N, 3) to image points (N, 2)."""
    vectors = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def parallax(pose_a: np.ndarray, a: np.ndarray, pose_b: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angles (N) in degrees between the rays of two cameras to the same points."""
    (ax, ay, az), (bx, by, bz) = (rays(a) @ pose_a[:3, :3]).T, (rays(b) @ pose_b[:3, :3]).T
    # Unlike the cosine, the sine (length of the cross product) is precise at small angles.
    sine = np.sqrt((ay * bz - az * by) ** 2 + (az * bx - ax * bz) ** 2 + (ax * by - ay * bx) ** 2)
    return np.degrees(np.arctan2(sine, ax * bx + ay * by + az * bz))


def triangulate(
    pose_a: np.ndarray, a: np.ndarray, pose_b: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Return the points (N, 3) of the world at image points a and b (N, 2) of two cameras."""
    if not len(a):
        return np.zeros((0, 3))
    found = cv2.triangulatePoints(
        pose_a[:3], pose_b[:3], np.ascontiguousarray(a.T, float), np.ascontiguousarray(b.T, float)
    )
    with np.errstate(divide='ignore', invalid='ignore'):
        return (found[:3] / found[3]).T
