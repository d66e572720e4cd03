# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rectified stereo pairs of a slanted, textured plane with exact disparities."""

from __future__ import annotations

import cv2
import numpy as np

from superpoint_ros.features import Features
from support.rooms import picture

SIZE = (320, 240)
FOCAL, BASELINE = 250.0, 0.12


def texture(seed=0):
    """Return a smooth random image, float32, larger than a view."""
    return cv2.resize(picture(seed, 512), (640, 480), interpolation=cv2.INTER_CUBIC).astype(
        np.float32
    )


def stereo_pair(disparity=20.0, slope=(0.03, 0.02), noise=2.0, gain=1.0, seed=0):
    """Return left and right image, uint8, and a function from left pixels to disparities."""
    width, height = SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = np.array([width / 2, height / 2])

    def disparities(points):
        return disparity + (np.asarray(points, float) - centre) @ slope

    # x_right = x_left - disparity(x_left, y), solved for x_left.
    there = (x + disparity - slope[0] * centre[0] + slope[1] * (y - centre[1])) / (1 - slope[0])
    rng, scene = np.random.default_rng(seed), texture(seed)
    images = []
    for columns, factor in ((x, 1.0), (there.astype(np.float32), gain)):
        seen = cv2.remap(scene, columns + 100, y + 100, cv2.INTER_CUBIC) * factor
        seen = seen + rng.normal(0, noise, seen.shape)
        images.append(np.rint(seen.clip(0, 255)).astype(np.uint8))
    return *images, disparities


def corner_features(image, count=200):
    """Return corners of an image with descriptors that are their blurred surroundings."""
    blurred = cv2.GaussianBlur(image, (0, 0), 1.5).astype(np.float32)
    corners = cv2.goodFeaturesToTrack(image, count, 0.01, 6)[:, 0]
    inside = ((corners > 12) & (corners < np.array(SIZE) - 13)).all(axis=1)
    corners = corners[inside]
    steps = np.arange(-8, 9, 2, dtype=np.float32)
    dx, dy = np.meshgrid(steps, steps)
    x, y = corners[:, :1] + dx.ravel(), corners[:, 1:] + dy.ravel()
    patches = cv2.remap(blurred, x, y, cv2.INTER_LINEAR)
    patches -= patches.mean(axis=1, keepdims=True)
    patches /= np.linalg.norm(patches, axis=1, keepdims=True)
    return Features(corners, np.linspace(1, 0.1, len(corners)), patches)
