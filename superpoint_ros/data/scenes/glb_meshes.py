# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Meshes from GLB and glTF files, read by trimesh."""

from __future__ import annotations

import io
import logging
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.data.scenes.gltf_files import readable_gltf, SUFFIXES
from superpoint_ros.data.scenes.meshes import merge, TexturedMesh, UNTEXTURED

logger = logging.getLogger(__name__)

LARGEST_TEXTURE = 1024
"""Longest side of a texture in pixels; larger ones are reduced."""

LONGEST_SCENE = 1000.0
"""Longest side of a scene in metres; a longer one is most probably modelled in millimetres."""

SHORTEST_SCENE = 0.02
"""Shortest plausible longest side of a scene in metres."""

SCAN_TRIANGLES = 10_000
"""Triangles with corners of different colours from which a mesh counts as a coloured scan."""

_WHITE = np.full((1, 1), 255, np.uint8)  # texture of scans: their gray levels are not changed
_LUMA = np.array([0.299, 0.587, 0.114])  # shares of red, green and blue


def read_glb(path: Path, unit: float = 1.0, up: str = 'z') -> TexturedMesh:
    """
    Return the mesh of a GLB file, in metres, z up.

    `unit` is the length of the file's unit in metres, `up` the axis of the file, 'z' or 'y', that
    points up. Raises FileNotFoundError if the file does not exist, and ValueError if it cannot be
    read, has no triangles, or has an implausible size (another unit than `unit`).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; name a .glb file')
    try:
        geometries, parts = _parse(path)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # trimesh and Pillow raise what their decoders raise
        raise ValueError(f'{path} cannot be read as a GLB file: {error}') from error
    if not parts:
        raise ValueError(f'{path} contains no triangles')
    mesh = merge(parts).moved(_to_metres(unit, up))
    finite = np.isfinite(mesh.triangles).all(axis=(1, 2))
    if not finite.any():
        raise ValueError(f'{path} has no triangle with finite corners')
    if not finite.all():
        count = counted((~finite).sum(), 'triangle')
        logger.warning('%s: %s without finite corners left out', path, count)
        mesh = _select(mesh, finite)
    _check_size(path, mesh)
    _check_orientation(path, geometries)
    _check_opacity(path, geometries)
    return mesh


def _parse(path: Path) -> tuple[dict[str, Any], list[TexturedMesh]]:
    """
    Return the `trimesh.Trimesh` of each name in a file, and what its nodes show of them.

    Meshes are in the file's unit and axes; lines and points are left out.
    """
    import trimesh

    document = readable_gltf(path) if path.suffix.lower() in SUFFIXES else None
    if document is None:
        scene = trimesh.load_scene(path)
    else:
        scene = trimesh.load_scene(io.BytesIO(document), file_type='gltf')
    geometries = {
        name: geometry
        for name, geometry in scene.geometry.items()
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces)
    }
    textures: dict[int, np.ndarray] = {}
    parts = []
    for node in scene.graph.nodes_geometry:
        pose, name = scene.graph[node]
        if name in geometries:
            parts.append(_part(geometries[name], textures).moved(np.asarray(pose)))
    return geometries, parts


def _to_metres(unit: float, up: str) -> np.ndarray:
    """Return the transform (4, 4) from a file's coordinates to metres, z up."""
    if not 0 < unit < math.inf:
        raise ValueError(f'the unit must be greater than 0 m and finite, got {unit}')
    if up not in ('y', 'z'):
        raise ValueError(f"the axis that points up must be 'y' or 'z', got {up!r}")
    turn = np.eye(4)
    if up == 'y':
        turn[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    turn[:3] *= unit
    return turn


def _select(mesh: TexturedMesh, chosen: np.ndarray) -> TexturedMesh:
    """Return the chosen triangles."""
    return TexturedMesh(
        mesh.triangles[chosen],
        mesh.uv[chosen],
        mesh.texture[chosen],
        mesh.gray[chosen],
        mesh.textures,
    )


def _check_size(path: Path, mesh: TexturedMesh) -> None:
    """Raise ValueError if the scene is too large or too small to be in metres."""
    longest = float(np.ptp(mesh.bounds, axis=0).max())
    if longest > LONGEST_SCENE:
        raise ValueError(
            f'{path} is {longest:.0f} m long: its unit is probably the millimetre; scale it to '
            'metres, for example with --unit 0.001'
        )
    if longest < SHORTEST_SCENE:
        raise ValueError(f'{path} is {1000 * longest:.2f} mm long; scale it to metres with --unit')


def _check_orientation(path: Path, geometries: dict[str, Any]) -> None:
    """Warn if closed meshes have triangles that face inwards; all are rendered from both sides."""
    inside_out = [
        name
        for name, geometry in geometries.items()
        if geometry.is_watertight and geometry.volume < 0
    ]
    if inside_out:
        logger.warning(
            '%s: the triangles of %s face inwards; both sides of all triangles are rendered',
            path,
            ', '.join(inside_out[:5]),
        )


def _check_opacity(path: Path, geometries: dict[str, Any]) -> None:
    """Warn of materials with transparent parts: all are rendered opaque."""
    materials = [getattr(each.visual, 'material', None) for each in geometries.values()]
    clear = [each for each in materials if getattr(each, 'alphaMode', None) in ('MASK', 'BLEND')]
    names = list(dict.fromkeys(str(material.name) for material in clear))
    if names:
        logger.warning(
            '%s: transparent parts of the materials %s are rendered opaque',
            *(path, ', '.join(names[:5])),
        )


def _part(geometry, textures: dict[int, np.ndarray]) -> TexturedMesh:
    """Return a mesh of a trimesh geometry; `textures` keeps converted pictures by identity."""
    count = len(geometry.faces)
    triangles = np.asarray(geometry.vertices, np.float32)[geometry.faces]
    uv = np.zeros((count, 3, 2), np.float32)
    index = np.full(count, UNTEXTURED, np.int32)
    material = getattr(geometry.visual, 'material', None)
    corners = _vertex_grays(geometry)
    gray = np.float32(_gray_level(material) * corners.mean(axis=1))
    picture = getattr(material, 'baseColorTexture', None)
    if picture is None:
        picture = getattr(material, 'image', None)
    coordinates = getattr(geometry.visual, 'uv', None)
    if picture is None or coordinates is None:
        if np.count_nonzero(np.ptp(corners, axis=1) > 1e-4) >= SCAN_TRIANGLES:
            return TexturedMesh(triangles, uv, np.zeros(count, np.int32), gray, [_WHITE])
        return TexturedMesh(triangles, uv, index, gray, [])
    if id(picture) not in textures:
        textures[id(picture)] = _gray_picture(picture)
    uv = np.nan_to_num(np.asarray(coordinates, np.float32))[geometry.faces]
    return TexturedMesh(triangles, uv, np.zeros(count, np.int32), gray, [textures[id(picture)]])


def _gray_level(material) -> float:
    """Return the gray level of a material's base colour, from 0 to 1; white if it has none."""
    colour = getattr(material, 'baseColorFactor', None)  # uint8 (4,)
    return 1.0 if colour is None else float(colour[:3] @ _LUMA) / 255


def _vertex_grays(geometry) -> np.ndarray:
    """Return the gray levels of the corners of each triangle (N, 3), white without colours."""
    visual = geometry.visual
    colours = visual.vertex_attributes.get('color') if visual.kind == 'texture' else None
    if visual.kind == 'vertex':
        colours = visual.vertex_colors
    if colours is None:
        return np.ones((len(geometry.faces), 3))
    colours = np.asarray(colours)
    white = np.iinfo(colours.dtype).max if colours.dtype.kind in 'iu' else 1.0
    return (colours[:, :3] @ _LUMA / white)[geometry.faces]


def _gray_picture(picture) -> np.ndarray:
    """Return a PIL image as uint8 (H, W), at most `LARGEST_TEXTURE` pixels wide and high."""
    image = np.asarray(picture.convert('L'))
    factor = LARGEST_TEXTURE / max(image.shape)
    if factor < 1:
        # OpenCV refuses to reduce a narrow image to less than a pixel.
        x, y = (max(factor, 1 / side) for side in image.shape[::-1])
        image = cv2.resize(image, None, fx=x, fy=y, interpolation=cv2.INTER_AREA)
    return image
