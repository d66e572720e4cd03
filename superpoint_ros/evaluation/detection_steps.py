# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The steps from an image to its keypoints, and the decision on each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from superpoint_ros.common.contrast import stretch_contrast
from superpoint_ros.common.wording import plain_text
from superpoint_ros.detection.descriptors import dense_descriptors
from superpoint_ros.detection.pipeline import detect
from superpoint_ros.detection.preprocessing import pad, to_gray
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.model.config import CELL, DUSTBIN


@dataclass(frozen=True, eq=False)
class DetectionSteps:
    """
    Results of each step of the detection in a gray image; arrays are float32.

    Attributes:
        image: uint8 (H, W).
        settings: settings of the detection.
        logits: (65, h, w), the detector output of the network for each cell.
        probabilities: (65, h, w), softmax of the logits.
        heatmap: (H, W), the probabilities as pixels.
        score_map: (H, W), score of each pixel as a keypoint: the heatmap, or with Hessian
            keypoints zero except at extrema.
        maxima: (H, W), scores that are left after threshold and non-maximum suppression, else
            zero.
        coarse: (D, h, w), descriptors at the centres of cells, not normalised.
        features: result of the detection.

    """

    image: np.ndarray
    settings: DetectionSettings
    logits: np.ndarray
    probabilities: np.ndarray
    heatmap: np.ndarray
    score_map: np.ndarray
    maxima: np.ndarray
    coarse: np.ndarray
    features: Features

    def cell_of(self, x: int, y: int) -> tuple[int, int, int]:
        """Return column and row of the pixel's cell, and the pixel's channel."""
        return x // CELL, y // CELL, y % CELL * CELL + x % CELL

    def explain(self, x: int, y: int) -> list[str]:
        """
        Return sentences that explain why a pixel is a keypoint or is not.

        Raises ValueError if the pixel is outside the image.
        """
        height, width = self.image.shape
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f'pixel {x}, {y} is outside the image of {width}x{height} pixels')
        column, row, channel = self.cell_of(x, y)
        dustbin = self.probabilities[DUSTBIN, row, column]
        value, threshold = float(self.heatmap[y, x]), self.settings.threshold
        score = float(self.score_map[y, x])
        is_candidate = score >= threshold and score > 0
        return [
            f'Pixel {x}, {y} is channel {channel} of cell {column}, {row}.',
            f'Its logit is {self.logits[channel, row, column]:.2f}, that of the dustbin '
            f'{self.logits[DUSTBIN, row, column]:.2f}.',
            f'Its probability is {value:.4f}, that of the dustbin {dustbin:.4f}, that of the 63 '
            f'other pixels of the cell together {max(1 - value - dustbin, 0):.4f}.',
            *self._explain_score(x, y),
            f'The threshold is {plain_text(threshold)}.',
            self._explain_selection(x, y) if is_candidate else self._explain_rejection(score),
        ]

    def _explain_score(self, x: int, y: int) -> list[str]:
        """Return how an extremum of the Hessian response is scored."""
        if self.settings.keypoints != 'hessian' or not self.score_map[y, x]:
            return []
        return [
            'It is an extremum of the Hessian response. By its strength and the probability of a '
            f'keypoint near it, its score is {_rounded(self.score_map[y, x])}.'
        ]

    def _explain_rejection(self, score: float) -> str:
        if self.settings.keypoints == 'hessian' and not score:
            return 'It is not a keypoint: it is not an extremum of the Hessian response.'
        return 'It is not a keypoint: its score is below the threshold.'

    def _explain_selection(self, x: int, y: int) -> str:
        """Return what happened to a pixel whose score reaches the threshold."""
        height, width = self.image.shape
        radius, margin = self.settings.nms_radius, self.settings.border_margin
        if not self.maxima[y, x]:
            top, left = max(y - radius, 0), max(x - radius, 0)
            window = self.maxima[top : y + radius + 1, left : x + radius + 1]
            dy, dx = np.unravel_index(window.argmax(), window.shape)
            return (
                f'It is not a keypoint: pixel {left + dx}, {top + dy} within {radius} px '
                f'suppresses it with a score of {_rounded(window.max())}.'
            )
        if min(x, y, width - 1 - x, height - 1 - y) < margin:
            return f'It is not a keypoint: it is within {margin} px of the border.'
        distances = np.abs(self.features.keypoints - [x, y]).max(axis=1, initial=0)
        # Refinement moves a keypoint by two pixels at most; suppression keeps others further away.
        near = np.nonzero((distances <= 2) & (self.features.scores == self.maxima[y, x]))[0]
        if not len(near):
            return (
                'It is not a keypoint: the maximum number of keypoints, '
                f'{self.settings.max_keypoints}, is reached before it.'
            )
        point = self.features.keypoints[near[0]]
        return (
            f'It has the highest score within {radius} px. It is keypoint {near[0] + 1} of '
            f'{len(self.features)}, at {point[0]:.2f}, {point[1]:.2f}.'
        )


def _rounded(score: float) -> str:
    """Return a score with three digits, however small it is."""
    return plain_text(float(f'{score:.3g}'))


@torch.inference_mode()
def run_steps(detector: Detector, image: np.ndarray) -> DetectionSteps:
    """
    Return the results of each step of a detector in an image, uint8 (H, W) or BGR (H, W, 3).

    The steps are those of `superpoint_ros.detection.pipeline`. Raises ValueError for an invalid
    image and for settings that resize it.
    """
    image = to_gray(image)
    height, width = image.shape
    settings = detector.settings
    if 0 < settings.max_image_size < max(height, width):
        raise ValueError(
            f'the image of {width}x{height} pixels is larger than max_image_size, '
            f'{settings.max_image_size}: reduce the image, or leave out the setting'
        )
    if settings.upscale_factor != 1 or settings.descriptor_scales != 1:
        raise ValueError(
            'the steps are shown at one scale: leave upscale_factor and descriptor_scales at 1'
        )
    image = stretch_contrast(image, settings.min_contrast)
    output = detector.engine.infer(torch.from_numpy(pad([image])))
    output = output.apply(lambda part: part.float().cpu())
    steps, found = detect(output, torch.from_numpy(image)[None, None], settings)
    count = int(found.valid[0].sum())
    return DetectionSteps(
        image,
        settings,
        output.logits[0].numpy(),
        output.logits.softmax(dim=1)[0].numpy(),
        steps.heatmap[0].numpy(),
        steps.score_map[0].numpy(),
        steps.maxima[0].numpy(),
        dense_descriptors(output)[0].numpy(),
        Features(*(part[0, :count].numpy() for part in found[:3])),
    )
