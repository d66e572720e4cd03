# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Rays, poses and points: what two or more views of the same points tell.

Points in images are undistorted, normalised coordinates (N, 2), x and y at distance 1. A pose here
is float64 (4, 4) and takes points of the world to the camera (x right, y down, z forward).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

_IDENTITY = np.eye(3)
_FEWEST = 8


def invert(pose: np.ndarray) -> np.ndarray:
    """Return the inverse of a rigid pose (4, 4)."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


def make_pose(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Return the pose (4, 4) of a rotation (3, 3) and a translation (3)."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, np.asarray(translation).ravel()
    return pose


def project(pose: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where points (N, 3) of the world are seen, (N, 2), and their depths (N)."""
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    depths = seen[:, 2]
    with np.errstate(divide='ignore', invalid='ignore'):
        return seen[:, :2] / depths[:, None], depths


def reprojection_errors(pose: np.ndarray, points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return how far points are seen from where the pose has them, infinite behind the camera."""
    expected, depths = project(pose, points)
    errors = np.linalg.norm(expected - seen, axis=1)
    return np.where((depths > 1e-6) & np.isfinite(errors), errors, np.inf)


def rays(points: np.ndarray) -> np.ndarray:
    """Return the unit vectors (N, 3) to image points (N, 2)."""
    vectors = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def parallax(pose_a: np.ndarray, a: np.ndarray, pose_b: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angles (N), in degrees, at which two cameras' rays to the same points meet."""
    in_world_a, in_world_b = rays(a) @ pose_a[:3, :3], rays(b) @ pose_b[:3, :3]
    # The sine keeps its precision at small angles, where the cosine has none.
    sine = np.linalg.norm(np.cross(in_world_a, in_world_b), axis=1)
    return np.degrees(np.arctan2(sine, (in_world_a * in_world_b).sum(axis=1)))


def triangulate(
    pose_a: np.ndarray, a: np.ndarray, pose_b: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Return the points (N, 3) of the world that two cameras see at a and b (N, 2)."""
    if not len(a):
        return np.zeros((0, 3))
    found = cv2.triangulatePoints(
        pose_a[:3], pose_b[:3], np.ascontiguousarray(a.T, float), np.ascontiguousarray(b.T, float)
    )
    with np.errstate(divide='ignore', invalid='ignore'):
        return (found[:3] / found[3]).T


class TwoViews(NamedTuple):
    """The first camera's frame is the world: the second's pose, at distance 1, and the points."""

    pose: np.ndarray
    points: np.ndarray
    inliers: np.ndarray


def two_views(a: np.ndarray, b: np.ndarray, threshold: float) -> TwoViews | None:
    """
    Return the motion between two views of points (N, 2), None where none fits.

    It is the one of an essential matrix (Nister, PAMI 2004), or of a homography (Malis and Vargas,
    INRIA RR-6303, 2007), which is the better one where most of the scene is a plane: whichever has
    the points closest to where they are seen, counting at most half of `threshold`. With the whole
    of it, motions that are degrees off would fit as well as the true one.
    """
    if len(a) < _FEWEST:
        return None
    a, b = np.asarray(a, float), np.asarray(b, float)
    best, best_cost = None, np.inf
    for pose in _candidates(a, b, threshold / 2):
        points = triangulate(np.eye(4), a, pose, b)
        errors = np.maximum(
            reprojection_errors(np.eye(4), points, a), reprojection_errors(pose, points, b)
        )
        cost = np.minimum(errors, threshold / 2).sum()
        if cost < best_cost:
            best, best_cost = TwoViews(pose, points, errors < threshold), cost
    return best


def _candidates(a: np.ndarray, b: np.ndarray, threshold: float) -> list[np.ndarray]:
    """Return the motions that may have brought points from a to b."""
    cv2.setRNGSeed(0)  # results repeat
    found = []
    essential = _estimated(
        cv2.findEssentialMat, a, b, _IDENTITY, cv2.USAC_DEFAULT, prob=0.9999, threshold=threshold
    )
    if essential is not None and essential.shape == (3, 3):
        first, second, translation = cv2.decomposeEssentialMat(essential)
        for rotation in (first, second):
            found += [make_pose(rotation, sign * translation) for sign in (1, -1)]
    homography = _estimated(
        cv2.findHomography, a, b, cv2.USAC_DEFAULT, threshold, confidence=0.9999
    )
    if homography is not None:
        _, rotations, translations, _ = cv2.decomposeHomographyMat(homography, _IDENTITY)
        for rotation, translation in zip(rotations, translations, strict=True):
            length = np.linalg.norm(translation)
            if length > 1e-9:
                found.append(make_pose(rotation, translation / length))
    return found


def _estimated(estimate: Callable, *arguments, **options) -> np.ndarray | None:
    """Return the matrix that OpenCV finds, None where it finds none."""
    try:
        return estimate(*arguments, **options)[0]
    except cv2.error:  # 4.14 fails assertions about points that are all in one place or on a line
        return None


def find_pose(
    points: np.ndarray, seen: np.ndarray, threshold: float, guess: np.ndarray
) -> np.ndarray:
    """
    Return the pose from which points (N, 3) are seen at (N, 2), by RANSAC or from the guess.

    Whichever of the two has the points closer to where they are seen, each at most `threshold`.
    """
    candidates = [guess]
    if len(points) >= 4:
        cv2.setRNGSeed(0)
        try:
            found, turn, shift, _ = cv2.solvePnPRansac(
                points,
                seen,
                _IDENTITY,
                None,
                iterationsCount=200,
                reprojectionError=threshold,
                confidence=0.999,
                flags=cv2.SOLVEPNP_AP3P,
            )
        except cv2.error:  # as above
            found = False
        if found and np.isfinite(turn).all() and np.isfinite(shift).all():
            candidates.append(make_pose(cv2.Rodrigues(turn)[0], shift))

    def cost(pose: np.ndarray) -> float:
        return np.minimum(reprojection_errors(pose, points, seen), threshold).sum()

    return min(candidates, key=cost)
