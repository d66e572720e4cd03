# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Hessian keypoints: extrema of the Hessian determinant of the image, scored by the network.

The network sees cells of 8x8 pixels and locates a keypoint only to about a pixel: after a shift by
a few pixels, its keypoints in the same image differ by 0.6 px on average. Extrema of the Hessian
determinant move with the image. So the network decides which places are keypoints, and the
determinant where exactly they are.

The response is the scale-normalized determinant at the best of several scales: four in small
images, five in others. It is high at the centre of anything lighter or darker than its
surroundings: a spot, the end of a line, the inside of a corner. Source: Lindeberg, "Feature
Detection with Automatic Scale Selection", IJCV 1998.

The determinant is negative at saddles. Most are imprecise and are not used. Exceptions are saddles
that are similar at all scales and lie on level ground, such as the crossings of a checkerboard.

All functions work on tensors on any device, without loops over points, and use only operations
that ONNX has. `superpoint_ros.detection.cpu_hessian` is the compiled equivalent for CPUs.

The constants are in `superpoint_ros.detection.hessian_constants`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F

from superpoint_ros.detection.hessian_constants import (
    HALF_STRENGTH,
    LARGE_IMAGE,
    MIN_RESPONSE,
    PROBABILITY_EXPONENT,
    PROBABILITY_KERNEL,
    SADDLE_COARSE_SIMILARITY,
    SADDLE_PROBABILITY,
    SADDLE_SIMILARITY,
    SADDLE_SLOPE,
    SCALE_KERNELS,
    SCALE_STEPS,
    SCALE_WEIGHTS,
    SCALES,
)

_IDENTITY, _GRADIENT = (1.0,), (-0.5, 0.0, 0.5)
_SECOND_DERIVATIVE = (1.0, -2.0, 1.0)


class HessianResponse(NamedTuple):
    """
    Hessian response of a batch of images, at each pixel.

    Attributes:
        response: float32 (B, H, W), in squared gray levels, whose maxima are the extrema. It is
            negative at saddles that do not count.
        strength: float32 (B, H, W), sum of the responses with coarse scales weighted more, for
            scores.
        saddle: bool (B, H, W), true at and around saddles that count.
        extremum: bool (B, H, W), true at maxima of the response within 3x3 pixels.

    """

    response: torch.Tensor
    strength: torch.Tensor
    saddle: torch.Tensor
    extremum: torch.Tensor


def hessian_response(images: torch.Tensor) -> HessianResponse:
    """
    Return the Hessian response of images (B, 1, H, W) of gray levels from 0 to 255.

    Images are uint8 or floating point; their border pixels are repeated outside of them.
    """
    smooth = images.float()
    responses, slopes = [], []
    for scale, kernel, step in zip(SCALES, SCALE_KERNELS, SCALE_STEPS, strict=True):
        smooth = _filter(smooth, kernel, kernel, step)
        responses.append(scale**4 * _determinant(smooth))
        slopes.append(scale**2 * _squared_gradient(smooth))
    large = _is_large(images)
    finest, fine = responses[:2]
    # The two coarsest scales of images of this size, and the slope at the last one.
    coarse, coarsest, slope = (
        torch.where(large, each[-1], each[-2]) for each in (responses[:-1], responses, slopes)
    )
    others = torch.stack([*responses[1:-1], coarsest])
    highest, lowest = others.amax(dim=0), others.amin(dim=0)
    high, low = torch.maximum(coarse, coarsest), torch.minimum(coarse, coarsest)
    saddle = (
        (highest < SADDLE_SIMILARITY * lowest)
        & (high < SADDLE_COARSE_SIMILARITY * low)
        & (slope < -SADDLE_SLOPE * coarsest)
    )
    best = torch.maximum(highest, finest)
    weights = [*SCALE_WEIGHTS[:-1], torch.where(large, SCALE_WEIGHTS[-1], 0.0)]
    total = sum(
        each.clamp_min(0) * weight for each, weight in zip(responses, weights, strict=True)
    )
    response, strength = (
        torch.where(saddle, torch.maximum(each, -fine), each) for each in (best, total)
    )
    return HessianResponse(response, strength, saddle, find_extrema(response))


def find_extrema(response: torch.Tensor) -> torch.Tensor:
    """Return bool (B, H, W): maxima of a response within 3x3 pixels, above `MIN_RESPONSE`."""
    highest = F.max_pool2d(response[:, None], 3, stride=1, padding=1)[:, 0]
    return (response >= highest) & (response > MIN_RESPONSE)


def weight_scores(heatmap: torch.Tensor, hessian: HessianResponse) -> torch.Tensor:
    """
    Return the score map (B, H, W), float32: the score of each extremum, and zero elsewhere.

    `heatmap` (B, H, W) is the network's. A score is the probability of a keypoint near the
    extremum to the power of 3/4, times S / (S + `HALF_STRENGTH`), where S is the extremum's
    strength: weak extrema are unstable under noise and illumination changes.
    """
    near = _filter(heatmap[:, None], PROBABILITY_KERNEL, PROBABILITY_KERNEL)[:, 0].clamp(0, 1)
    near = torch.where(hessian.saddle, near.clamp_min(SADDLE_PROBABILITY), near)
    strength = hessian.strength.clamp_min(0)
    scores = near**PROBABILITY_EXPONENT * strength / (strength + HALF_STRENGTH)
    return torch.where(hessian.extremum, scores, 0.0)


def parabola_offsets(response: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """
    Return offsets (B, K, 2) in x and y, up to half a pixel, from pixels to the maximum near them.

    It is the vertex of parabolas through the response (B, H, W) at a pixel and its neighbours;
    `x` and `y` are int64 (B, K).
    """
    _, height, width = response.shape
    columns = (x, (x - 1).clamp_min(0), (x + 1).clamp_max(width - 1))
    rows = ((y - 1).clamp_min(0), (y + 1).clamp_max(height - 1))
    pixels = [y * width + column for column in columns] + [row * width + x for row in rows]
    flat = response.flatten(1)
    here, left, right, above, below = (flat.gather(1, each) for each in pixels)
    before, after = torch.stack([left, above], dim=2), torch.stack([right, below], dim=2)
    curvature = 2 * here[:, :, None] - before - after
    curved = curvature > 1e-9
    shift = 0.5 * (after - before) / torch.where(curved, curvature, 1.0)
    return torch.where(curved, shift, 0.0).clamp(-0.5, 0.5)


def _is_large(images: torch.Tensor) -> torch.Tensor:
    """Return whether images (B, 1, H, W) have all scales, see `count_scales`: bool ()."""
    # From tensors, so that it remains variable in graphs of any size.
    sides = (torch.arange(side, device=images.device) for side in images.shape[2:])
    height, width = ((side >= LARGE_IMAGE - 1).any() for side in sides)
    return height | width


def _determinant(smooth: torch.Tensor) -> torch.Tensor:
    """Return the determinant of the Hessian (B, H, W) of images (B, 1, H, W)."""
    xx = _filter(smooth, _SECOND_DERIVATIVE, _IDENTITY)
    yy = _filter(smooth, _IDENTITY, _SECOND_DERIVATIVE)
    xy = _filter(smooth, _GRADIENT, _GRADIENT)
    return (xx * yy - xy * xy)[:, 0]


def _squared_gradient(smooth: torch.Tensor) -> torch.Tensor:
    """Return the squared length of the gradient (B, H, W) of images (B, 1, H, W)."""
    x, y = _filter(smooth, _GRADIENT, _IDENTITY), _filter(smooth, _IDENTITY, _GRADIENT)
    return (x**2 + y**2)[:, 0]


def _filter(
    images: torch.Tensor, across: Sequence[float], down: Sequence[float], step: int = 1
) -> torch.Tensor:
    """
    Return images (B, 1, H, W), filtered along x by one kernel and along y by another.

    The taps of the kernels are `step` pixels apart.
    """
    for kernel, shape in ((across, (1, 1, 1, -1)), (down, (1, 1, -1, 1))):
        weight = _weight(tuple(map(float, kernel)), images.device).view(shape)
        radius = len(kernel) // 2 * step
        pads = (radius, radius, 0, 0) if shape[3] == -1 else (0, 0, radius, radius)
        images = F.conv2d(F.pad(images, pads, mode='replicate'), weight, dilation=step)
    return images


def _weight(kernel: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return a kernel as float32 (N,)."""
    # Tensors that are made while a graph is exported, on the CPU, are valid for that graph alone.
    return torch.tensor(kernel) if device.type == 'cpu' else _kept_weight(kernel, device)


@cache
def _kept_weight(kernel: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return a kernel as float32 (N,), always the same tensor."""
    # A CUDA graph cannot be recorded while values are copied from the CPU.
    with torch.inference_mode(False):
        return torch.tensor(kernel, device=device)
