# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All that lies between an image and its keypoints, and what became of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.detection.heatmap import (
    detect_keypoints,
    heatmap_from_logits,
    score_pixels,
    suppress_non_maxima,
)
from superpoint_ros.detection.hessian import find_blobs
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.model.superpoint import CELL

DUSTBIN = CELL * CELL
"""The channel that says "no keypoint in this cell"."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """
    Hold what a detector makes of a gray image, uint8 (H, W), step by step.

    `logits` and `probabilities` (65, h, w) are the network's output before and after the softmax,
    `heatmap` (H, W) is that laid out as pixels, `worth` (H, W) what each pixel is worth as a
    keypoint (with the setting `blobs` 0 but at blobs, else the heatmap), `peaks` (H, W) what
    is left of that above the threshold after non-maximum suppression. `coarse` (D, h, w) are the
    cells' descriptors. `features` are the detector's result. Arrays are float32.
    """

    image: np.ndarray
    settings: DetectionSettings
    logits: np.ndarray
    probabilities: np.ndarray
    heatmap: np.ndarray
    worth: np.ndarray
    peaks: np.ndarray
    coarse: np.ndarray
    features: Features

    def cell_of(self, x: int, y: int) -> tuple[int, int, int]:
        """Return column and row of the pixel's cell, and the pixel's channel."""
        return x // CELL, y // CELL, y % CELL * CELL + x % CELL

    def decision(self, x: int, y: int) -> list[str]:
        """
        Return, in sentences, how it was decided whether the pixel is a keypoint.

        Raises ValueError where the pixel is not in the image.
        """
        height, width = self.image.shape
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f'pixel {x}, {y} is not in the image of {width}x{height} pixels')
        column, row, channel = self.cell_of(x, y)
        dustbin = self.probabilities[DUSTBIN, row, column]
        value, threshold = float(self.heatmap[y, x]), self.settings.threshold
        worth = float(self.worth[y, x])
        return [
            f'Pixel {x}, {y} is number {channel} of the 64 of cell {column}, {row}.',
            f"Its logit is {self.logits[channel, row, column]:.2f}, the dustbin's "
            f'{self.logits[DUSTBIN, row, column]:.2f}.',
            f'Of the probability of its cell it has {value:.4f}, the dustbin {dustbin:.4f}, the '
            f'63 other pixels together {max(1 - value - dustbin, 0):.4f}.',
            *self._as_blob(x, y),
            f'The threshold is {threshold}.',
            self._fate(x, y) if worth >= threshold and worth > 0 else self._too_little(worth),
        ]

    def _as_blob(self, x: int, y: int) -> list[str]:
        """Return what the pixel is worth as a blob, where keypoints are blobs."""
        if self.settings.keypoints != 'hessian' or not self.worth[y, x]:
            return []
        return [
            'It is a blob of the image; with the probability of a keypoint near it and its '
            f'strength, its score is {self.worth[y, x]:.4f}.'
        ]

    def _too_little(self, worth: float) -> str:
        if self.settings.keypoints == 'hessian' and not worth:
            return 'It is no keypoint: it is no blob of the image.'
        return 'It is no keypoint: that is more.'

    def _fate(self, x: int, y: int) -> str:
        """Return what became of a pixel above the threshold."""
        height, width = self.image.shape
        radius, margin = self.settings.nms_radius, self.settings.border_margin
        if not self.peaks[y, x]:
            top, left = max(y - radius, 0), max(x - radius, 0)
            window = self.peaks[top : y + radius + 1, left : x + radius + 1]
            dy, dx = np.unravel_index(window.argmax(), window.shape)
            return (
                f'It is no keypoint: pixel {left + dx}, {top + dy} with {window.max():.4f} lies '
                f'within {radius} pixels and suppresses it.'
            )
        if min(x, y, width - 1 - x, height - 1 - y) < margin:
            return f'It is no keypoint: it lies within {margin} pixels of the border.'
        distances = np.abs(self.features.keypoints - [x, y]).max(axis=1, initial=0)
        # Refinement moves a keypoint by two pixels at most; suppression keeps others further off.
        near = np.nonzero((distances <= 2) & (self.features.scores == self.peaks[y, x]))[0]
        if not len(near):
            return f'It is no keypoint: {self.settings.max_keypoints} others go before it.'
        place = self.features.keypoints[near[0]]
        return (
            f'It is the highest within {radius} pixels, so it is keypoint {near[0] + 1} of '
            f'{len(self.features)}, placed at {place[0]:.2f}, {place[1]:.2f}.'
        )


def dissect(detector: Detector, image: np.ndarray) -> Anatomy:
    """
    Return what the detector makes of a gray image, uint8 (H, W).

    Raises ValueError where the detector would resize it first.
    """
    height, width = image.shape
    if 0 < detector.settings.max_image_size < max(height, width):
        raise ValueError(
            f'the image of {width}x{height} pixels is larger than max_image_size, '
            f'{detector.settings.max_image_size}: reduce it, or leave that setting out'
        )
    if detector.settings.upscale_factor != 1 or detector.settings.descriptor_scales != 1:
        raise ValueError('an image is explained as it is: leave magnification and levels at 1')
    padded = cv2.copyMakeBorder(image, 0, -height % CELL, 0, -width % CELL, cv2.BORDER_REPLICATE)
    output = detector.engine.infer(torch.from_numpy(padded)[None, None])
    logits = output.logits.float().cpu()
    coarse = output.descriptors.float().cpu()
    heatmap = heatmap_from_logits(logits)[:, :height, :width]
    settings = detector.settings
    images = torch.from_numpy(image)[None, None]
    blobs = find_blobs(images) if settings.keypoints == 'hessian' else None
    worth = score_pixels(heatmap, blobs)
    candidates = torch.where(worth >= settings.threshold, worth, 0.0)
    [(keypoints, scores)] = detect_keypoints(heatmap, settings, None, blobs)
    descriptors = sample_descriptors(coarse[0], keypoints)
    return Anatomy(
        image,
        settings,
        logits[0].numpy(),
        logits.softmax(dim=1)[0].numpy(),
        heatmap[0].numpy(),
        worth[0].numpy(),
        suppress_non_maxima(candidates, settings.nms_radius)[0].numpy(),
        coarse[0].numpy(),
        Features(keypoints.numpy(), scores.numpy(), descriptors.numpy()),
    )
