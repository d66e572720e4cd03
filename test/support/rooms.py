# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A small textured room as a GLB file, for tests of rendered scenes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = (6.0, 5.0, 3.0)
"""Metres along x, y and z; the floor is at z = 0."""


def picture(seed: int = 0, size: int = 256) -> np.ndarray:
    """Return random spots of several sizes, uint8 (size, size)."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size), 110.0, np.float32)
    for sigma in (2, 4, 8):
        noise = cv2.GaussianBlur(
            rng.standard_normal((size, size)).astype(np.float32), (0, 0), sigma
        )
        image += 35 * noise / noise.std()
    return image.clip(0, 255).astype(np.uint8)


def box(textured: bool = True, scale: float = 1.0):
    """Return a trimesh of the room's six walls, seen from inside, with a texture."""
    import PIL.Image
    import trimesh

    mesh = trimesh.creation.box(extents=np.array(SIZE) * scale)
    mesh.apply_translation([0, 0, SIZE[2] * scale / 2])
    mesh.unmerge_vertices()
    if textured:
        corners = mesh.vertices[mesh.faces]
        axes = np.abs(mesh.face_normals).argmax(axis=1)
        uv = np.array(
            [np.delete(c, a, axis=1) / (2 * scale) for c, a in zip(corners, axes, strict=True)]
        )
        material = trimesh.visual.material.PBRMaterial(
            baseColorTexture=PIL.Image.fromarray(picture()).convert('RGB')
        )
        mesh.visual = trimesh.visual.TextureVisuals(uv=uv.reshape(-1, 2), material=material)
    return mesh


def write_room(path: Path, textured: bool = True, scale: float = 1.0) -> Path:
    """Write the room to a GLB file, and return its path."""
    box(textured, scale).export(path)
    return path
