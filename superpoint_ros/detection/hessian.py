# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Blobs of the image, at which keypoints are exact.

A network that looks at cells of 8x8 pixels knows where a keypoint is to about a pixel: moved by a
few pixels, the same image gives keypoints that differ by 0.6 px on average. The extrema of the
image's curvature move with the image, and grow with it. So the network says which places are
keypoints, and the curvature where exactly they are, and how strong.

The response is the determinant of the Hessian, normalised for scale, at the best of several
scales: high in the middle of what is lighter or darker than all around it, be it a spot, the end
of a line, or the inside of a corner. Source: Lindeberg, "Feature Detection with Automatic Scale
Selection", IJCV 1998.

Between blobs it is negative, at saddles. Those are less exact, and of no use but where they look
alike and are level at all scales: at crossings, as of a checkerboard, which count as blobs do.

All functions work on tensors on any device, without a loop over points, and with the operations
that ONNX has. `superpoint_ros.detection.cpu_hessian` finds the same on a CPU, many times as fast.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

SCALES = (1.2, 1.7, 2.4, 3.4)
"""Sigmas in pixels at which blobs are looked for; a blob's radius is about 1.4 times as large."""

LIKENESS = 0.55
"""A crossing's least negative response at the scales but the first is more than this part of the
most negative one."""

LEVEL = 0.05
"""Largest squared slope at a crossing, at the coarsest scale, in parts of the response."""

CERTAINTY = 0.2
"""Least probability of a keypoint at a crossing, whatever the network says: it prefers the insides
of the four corners there, which are blobs, and less exact."""

CUT = 2.3
"""Where a bell ends, in sigmas, rounded up to pixels: what is left out is not missed."""

POWER = 0.75
"""Power of the probability in a score, for which `superpoint_ros.detection.cpu` takes roots."""

NEARNESS = 1.0
"""Sigma in pixels of the bell in which a blob gathers the probability of a keypoint."""

WORTHS = tuple(scale / 2 for scale in SCALES)
"""By what a response at each scale counts in a blob's strength: noise, blur and another light move
coarse blobs less than fine ones. Where a blob is, all scales tell alike."""

HALF_STRENGTH = 3000.0
"""Strength, in squared gray levels, of a blob that is worth half of a strong one."""

LEAST_RESPONSE = 1.0
"""Response at and below which there is no blob."""


def _bell(sigma: float) -> np.ndarray:
    reach = math.ceil(CUT * sigma)
    steps = np.arange(-reach, reach + 1)
    bell = np.exp(-(steps**2) / (2 * sigma**2))
    return (bell / bell.sum()).astype(np.float32)


def _steps() -> list[np.ndarray]:
    """Return the bells that bring an image from each scale to the next."""
    before = 0.0
    bells = []
    for scale in SCALES:
        sigma = math.sqrt(scale**2 - before**2)
        bells.append(_bell(sigma))
        before = scale
    return bells


STEPS = _steps()
_ITSELF, _SLOPE, _CURVE = np.float32([1]), np.float32([-0.5, 0, 0.5]), np.float32([1, -2, 1])
# Of height 1, not of area 1: what it gathers is the probability that a keypoint is near.
NEAR = _bell(NEARNESS) * np.float32(np.sqrt(2 * np.pi) * NEARNESS)


class Blobs(NamedTuple):
    """
    Hold what images show at each pixel.

    `response` float32 (B, H, W), in squared gray levels, has its maxima at blobs and crossings;
    `strength`, of the same kind, is what they count there, coarse ones more; `crossing` bool
    (B, H, W) is true at and around crossings; `peak` bool (B, H, W) is true where the response is
    the highest of 3x3 pixels, and above `LEAST_RESPONSE`.
    """

    response: torch.Tensor
    strength: torch.Tensor
    crossing: torch.Tensor
    peak: torch.Tensor


def find_blobs(images: torch.Tensor) -> Blobs:
    """
    Return what images show at each pixel: how much they are like a blob there.

    `images` are (B, 1, H, W) of gray levels from 0 to 255, uint8 or floating point. Beyond an
    image's border its last pixels repeat. The response is negative where nothing is like a blob.
    """
    smooth = images.float()
    responses = []
    for scale, bell in zip(SCALES, STEPS, strict=True):
        smooth = _filtered(smooth, bell, bell)
        xx = _filtered(smooth, scale**2 * _CURVE, _ITSELF)
        yy = _filtered(smooth, _ITSELF, scale**2 * _CURVE)
        xy = _filtered(smooth, scale * _SLOPE, scale * _SLOPE)
        responses.append(xx * yy - xy * xy)
    coarse = torch.cat(responses[1:], dim=1)
    highest, lowest = coarse.amax(dim=1), coarse.amin(dim=1)
    slopes = [_filtered(smooth, *way) for way in ((_SLOPE, _ITSELF), (_ITSELF, _SLOPE))]
    steep = (slopes[0] ** 2 + slopes[1] ** 2)[:, 0] * SCALES[-1] ** 2
    crossing = (highest < LIKENESS * lowest) & (steep < -LEVEL * coarse[:, -1])
    best = torch.maximum(highest, responses[0][:, 0])
    strength = torch.cat([r * worth for r, worth in zip(responses, WORTHS, strict=True)], dim=1)
    response, strength = (
        torch.where(crossing, torch.maximum(each, -coarse[:, 0]), each)
        for each in (best, strength.amax(dim=1))
    )
    return Blobs(response, strength, crossing, find_maxima(response))


def find_maxima(response: torch.Tensor) -> torch.Tensor:
    """Return bool (B, H, W): where a response is the highest of 3x3 pixels, and no faint one."""
    highest = F.max_pool2d(response[:, None], 3, stride=1, padding=1)[:, 0]
    return (response >= highest) & (response > LEAST_RESPONSE)


def blob_scores(heatmap: torch.Tensor, blobs: Blobs) -> torch.Tensor:
    """
    Return what each blob is worth as a keypoint, float32 (B, H, W), 0 where there is none.

    `heatmap` (B, H, W) is the network's probability of a keypoint at each pixel, `blobs` are those
    of the images. A blob's score is the probability that a keypoint is near, to the power 3/4,
    times S / (S + HALF_STRENGTH) for its strength S: faint blobs are those that noise or another
    light moves.
    """
    near = _filtered(heatmap[:, None], NEAR, NEAR)[:, 0].clamp(0, 1)
    near = torch.where(blobs.crossing, near.clamp_min(CERTAINTY), near)
    strength = blobs.strength.clamp_min(0)
    return torch.where(blobs.peak, near**POWER * strength / (strength + HALF_STRENGTH), 0.0)


def blob_offsets(
    response: torch.Tensor, image: torch.Tensor, y: torch.Tensor, x: torch.Tensor
) -> torch.Tensor:
    """
    Return (..., 2): how far in x and y a blob lies from its pixel, up to half a pixel.

    It is the vertex of parabolas through the response (B, H, W) at the pixel and its neighbours.
    `image`, `y` and `x` are indices of one shape.
    """
    _, height, width = response.shape
    rows, columns = image * height, (x, (x - 1).clamp_min(0), (x + 1).clamp_max(width - 1))
    middle = (rows + y) * width
    above, below = (y - 1).clamp_min(0), (y + 1).clamp_max(height - 1)
    places = [middle + column for column in columns]
    places += [(rows + line) * width + x for line in (above, below)]
    here, *around = response.flatten()[torch.stack(places)]
    before, after = torch.stack(around[0::2], dim=-1), torch.stack(around[1::2], dim=-1)
    return _vertex(before, here[..., None], after)


def _vertex(before: torch.Tensor, here: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Return where parabolas through three values have their maximum, from -.5 to .5."""
    curvature = 2 * here - before - after
    curved = curvature > 1e-9
    shift = 0.5 * (after - before) / torch.where(curved, curvature, 1.0)
    return torch.where(curved, shift, 0.0).clamp(-0.5, 0.5)


def _filtered(images: torch.Tensor, across: np.ndarray, down: np.ndarray) -> torch.Tensor:
    """Return images (B, C, H, W), each filtered along x by one kernel and along y by another."""
    channels = images.shape[1]
    for kernel, shape in ((across, (1, 1, 1, -1)), (down, (1, 1, -1, 1))):
        weight = torch.tensor(kernel.tolist(), device=images.device).view(shape)
        reach = len(kernel) // 2
        pads = (reach, reach, 0, 0) if shape[3] == -1 else (0, 0, reach, reach)
        padded = F.pad(images, pads, mode='replicate')
        images = F.conv2d(padded, weight.expand(channels, -1, -1, -1), groups=channels)
    return images
