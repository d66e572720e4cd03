# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Triangle meshes with gray textures.

Coordinates are metres, z points up. Texture coordinates follow trimesh: u to the right, v up from
the bottom of the picture; a texture repeats beyond 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

UNTEXTURED = -1
"""Texture index of triangles that have a plain gray level instead of a texture."""


@dataclass
class TexturedMesh:
    """
    Triangles with texture coordinates and gray levels.

    Attributes:
        triangles: float32 (N, 3, 3), the corners of each triangle in metres.
        uv: float32 (N, 3, 2), texture coordinates of each corner; 0 without a texture.
        texture: int32 (N,), index into `textures`, or `UNTEXTURED`.
        gray: float32 (N,), factor of the texture, or the plain gray level, from 0 to 1.
        textures: uint8 images (H, W).

    """

    triangles: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    gray: np.ndarray
    textures: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.triangles)

    @property
    def bounds(self) -> np.ndarray:
        """Return float (2, 3): the lowest and the highest coordinates."""
        corners = self.triangles.reshape(-1, 3)
        return np.stack([corners.min(axis=0), corners.max(axis=0)]).astype(np.float64)

    def moved(self, pose: np.ndarray) -> TexturedMesh:
        """Return the mesh with all corners transformed by a pose (4, 4)."""
        triangles = self.triangles @ pose[:3, :3].T.astype(np.float32)
        triangles = triangles + pose[:3, 3].astype(np.float32)
        return replace(self, triangles=triangles)


def merge(meshes: Sequence[TexturedMesh]) -> TexturedMesh:
    """Return one mesh of all triangles; textures that are the same object are kept once."""
    textures: list[np.ndarray] = []
    index_of: dict[int, int] = {}
    indices = []
    for mesh in meshes:
        new = np.full(len(mesh.textures) + 1, UNTEXTURED, np.int32)
        for number, texture in enumerate(mesh.textures):
            if id(texture) not in index_of:
                index_of[id(texture)] = len(textures)
                textures.append(texture)
            new[number] = index_of[id(texture)]
        # The last entry serves the index UNTEXTURED, -1.
        indices.append(new[mesh.texture])
    return TexturedMesh(
        np.concatenate([mesh.triangles for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate(indices),
        np.concatenate([mesh.gray for mesh in meshes]),
        textures,
    )


def quad(
    centre: np.ndarray,
    right: np.ndarray,
    up: np.ndarray,
    picture: np.ndarray,
    tiles: tuple[float, float] = (1.0, 1.0),
) -> TexturedMesh:
    """
    Return a rectangle that shows a picture, uint8 (H, W).

    `right` and `up` (3,) lead from the centre to the middle of its sides, in metres; `tiles` is
    how often the picture repeats along each.
    """
    corners = [centre - right - up, centre + right - up, centre + right + up, centre - right + up]
    a, b, c, d = np.float32(corners)
    u, v = tiles
    return TexturedMesh(
        np.stack([[a, b, c], [a, c, d]]),
        np.float32([[[0, 0], [u, 0], [u, v]], [[0, 0], [u, v], [0, v]]]),
        np.zeros(2, np.int32),
        np.ones(2, np.float32),
        [picture],
    )
