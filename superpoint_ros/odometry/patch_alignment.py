# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Alignment of image patches to a fraction of a pixel.

A patch is sampled around a point when the point is first seen. In later images, an affine warp of
the patch is found that fits best: Lucas-Kanade, inverse compositional (Baker and Matthews, IJCV
2004), started near the solution. Gain and offset of the gray levels are estimated along with the
warp: the steepest-descent images are made orthogonal to the patch and to a constant, so that one
pass over the image per iteration is enough.

The centre of an affine warp that fits a plane in perspective is in a wrong place: on a rendered
road, by 0.18 px along the motion after three to five frames. What the warp leaves of the gray
levels shows the perspective, by which `correct_perspective` moves the position.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.common.compiled import compiled
from superpoint_ros.common.contrast import MIN_CONTRAST, stretch_contrast
from superpoint_ros.odometry.patch_alignment_loops import align_patches
from superpoint_ros.odometry.patch_covariances import correct_perspective, write_covariances
from superpoint_ros.odometry.patch_pixels import GAINS, PatchMemory, PIXELS
from superpoint_ros.odometry.patch_preparation import prepare_patches

NO_PATCH = -1
"""Slot of a point that has no patch."""


class Alignment(NamedTuple):
    """
    Result of the alignment of N patches.

    Attributes:
        points: float32 (N, 2), positions of the centres in pixels.
        warps: float32 (N, 2, 2), from offsets in the patch to offsets in the image.
        correlations: float32 (N,), of the gray levels of patch and image, -1 to 1; -1 if the
            patch leaves the image or the iterations diverge.
        covariances: float32 (N, 2, 2), of the positions relative to the centres of the patches,
            in squared pixels.

    """

    points: np.ndarray
    warps: np.ndarray
    correlations: np.ndarray
    covariances: np.ndarray


def smoothed(image: np.ndarray, memory: np.ndarray | None = None) -> np.ndarray:
    """
    Return an image (H, W), uint8, as the alignment reads it.

    It is smoothed against noise; dark and hazy images are stretched before, since smooth gray
    levels are rounded.

    `memory`, a result for an earlier image, is used for this one if it has its size.
    """
    if memory is None or memory.shape != image.shape:
        memory = np.empty(image.shape, np.uint32)
    image = stretch_contrast(image, MIN_CONTRAST)
    _pack_neighbours(cv2.GaussianBlur(image, (3, 3), 0), memory)
    return memory


@compiled
def _pack_neighbours(gray, packed):
    """Write an image as `patch_pixels` describes it from gray levels, uint8 (H, W)."""
    height, width = gray.shape
    for y in range(height):
        upper, lower = gray[y], gray[min(y + 1, height - 1)]
        row = packed[y]
        for x in range(width - 1):
            row[x] = (
                np.uint32(upper[x])
                | np.uint32(upper[x + 1]) << np.uint32(8)
                | np.uint32(lower[x]) << np.uint32(16)
                | np.uint32(lower[x + 1]) << np.uint32(24)
            )
        row[width - 1] = np.uint32(upper[width - 1]) | np.uint32(lower[width - 1]) << np.uint32(16)


class PatchPool:
    """
    Patches of points, each in a numbered slot.

    Slots are taken by `add` and returned by `remove`; the memory grows as needed.
    """

    def __init__(self):
        self._free: list[int] = []
        shapes = (PIXELS,), (GAINS, PIXELS), (2, 2), (2, 2, 2), ()
        self._memory = PatchMemory(*(np.zeros((0, *shape), np.float32) for shape in shapes))

    def add(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """
        Return slots, int64 (N,), of new patches around points (N, 2) of a smoothed image.

        A slot is `NO_PATCH` if the patch leaves the image or has too little contrast.
        """
        points = np.ascontiguousarray(points, np.float32)
        while len(self._free) < len(points):
            self._grow()
        slots = np.array([self._free.pop() for _ in range(len(points))], np.int64)
        good = np.zeros(len(points), bool)
        prepare_patches(image, points, slots, self._memory, good)
        self._free += slots[~good].tolist()
        slots[~good] = NO_PATCH
        return slots

    def remove(self, slots: np.ndarray) -> None:
        """Return slots; `NO_PATCH` is ignored."""
        self._free += slots[slots != NO_PATCH].tolist()

    def add_variances(self, slots: np.ndarray, variances: np.ndarray) -> None:
        """Add variances (N,) to both coordinates in all later alignments of patches (N,)."""
        self._memory.variances[slots] += variances

    def align(
        self, image: np.ndarray, slots: np.ndarray, points: np.ndarray, warps: np.ndarray
    ) -> Alignment:
        """
        Align patches with a smoothed image, from initial positions (N, 2) and warps (N, 2, 2).

        Points without a patch, whose slot is `NO_PATCH`, get a correlation of -1.
        """
        count, slots = len(slots), np.ascontiguousarray(slots)
        found = Alignment(
            points=np.array(points, np.float32),
            warps=np.array(warps, np.float32),
            correlations=np.full(count, -1, np.float32),
            covariances=np.zeros((count, 2, 2), np.float32),
        )
        remains = np.zeros((count, 2), np.float32)
        align_patches(image, self._memory, slots, found, remains)
        write_covariances(self._memory, slots, found)
        correct_perspective(self._memory, slots, remains, found)
        return found

    def _grow(self) -> None:
        """Double the number of slots."""
        old = len(self._memory.values)
        more = max(old, 256)
        self._free += range(old + more - 1, old - 1, -1)
        self._memory = PatchMemory(
            *(
                np.concatenate([array, np.zeros((more, *array.shape[1:]), np.float32)])
                for array in self._memory
            )
        )
