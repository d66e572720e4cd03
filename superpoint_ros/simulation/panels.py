# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rectangles in space that carry a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Panel:
    """
    Hold a rectangle that is seen from its front only.

    `corner` (3,) is where the picture's top-left corner is in the world, `right` (3,) and `down`
    (3,) lead along its upper and left edges to the next corners, all in metres. `picture` is
    uint8, (H, W) or (H, W, 3); its outermost pixels end at the rectangle's edges.
    """

    corner: np.ndarray
    right: np.ndarray
    down: np.ndarray
    picture: np.ndarray

    @property
    def normal(self) -> np.ndarray:
        """Return the direction of length 1 in which the front faces."""
        # Right, down and forward are x, y and z of who looks at it.
        normal = np.cross(self.down, self.right)
        return normal / np.linalg.norm(normal)

    @property
    def corners(self) -> np.ndarray:
        """Return the four corners in the world, (4, 3), clockwise from the top-left one."""
        steps = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
        return self.corner + steps @ np.stack([self.right, self.down])

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return how far the points (N, 3) are from the rectangle (N,), in metres."""
        offset = np.asarray(points, float) - self.corner
        nearest = np.tile(self.corner, (len(offset), 1))
        for edge in (self.right, self.down):
            share = (offset @ edge / (edge @ edge)).clip(0, 1)
            nearest += share[:, None] * edge
        return np.linalg.norm(points - nearest, axis=1)


def rectangle_in_camera(panel: Panel, pose: np.ndarray) -> np.ndarray:
    """
    Return (3, 3): from (alpha, beta, 1) on the panel to a point in a camera's coordinates.

    alpha runs from 0 at the left to 1 at the right, beta from 0 at the top. The inverse takes a
    ray (x, y, 1) to (alpha, beta, 1) times the inverse of the depth at which it meets the plane.
    """
    rotation, centre = pose[:3, :3], pose[:3, 3]
    return rotation.T @ np.stack([panel.right, panel.down, panel.corner - centre], axis=1)
