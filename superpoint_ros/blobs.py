# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

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
that ONNX has. On a CPU two of them take OpenCV, which is several times as fast, for the same
result.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
import math
import threading
from typing import NamedTuple

import cv2
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
"""Power of the probability in a score."""

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


_STEPS = _steps()
_REACH = sum(len(bell) // 2 for bell in _STEPS) + 2  # pixels up to which others count
_LEAST_ROWS, _MOST_STRIPES = 4 * _REACH, 8
_AROUND = np.ones((3, 3), np.uint8)
_ITSELF, _SLOPE, _CURVE = np.float32([1]), np.float32([-0.5, 0, 0.5]), np.float32([1, -2, 1])
# Of height 1, not of area 1: what it gathers is the probability that a keypoint is near.
_NEAR = _bell(NEARNESS) * np.float32(np.sqrt(2 * np.pi) * NEARNESS)


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


def find_blobs(images: torch.Tensor, threads: int = 1) -> Blobs:
    """
    Return what images show at each pixel: how much they are like a blob there.

    `images` are (B, 1, H, W) of gray levels from 0 to 255, uint8 or floating point. Beyond an
    image's border its last pixels repeat. The response is negative where nothing is like a blob.
    `threads` is how many OpenCV's way may use.
    """
    if _takes_opencv(images):
        found = [blobs_of(image, threads) for image in images[:, 0].numpy()]
        return Blobs(*(torch.from_numpy(_stack(each)) for each in zip(*found, strict=True)))
    smooth = images.float()
    responses = []
    for scale, bell in zip(SCALES, _STEPS, strict=True):
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


def blobs_of(image: np.ndarray, threads: int = 1) -> tuple[np.ndarray, ...]:
    """Return the fields of `Blobs` for one image (H, W), each (H, W)."""
    height = image.shape[0]
    count = min(threads, height // _LEAST_ROWS, _MOST_STRIPES)
    if count < 2:
        return _blobs_of(image)
    kinds = (np.float32, np.float32, np.bool_, np.bool_)
    result = tuple(np.empty(image.shape, kind) for kind in kinds)
    ends = np.linspace(0, height, count + 1).astype(int)

    def fill(number: int) -> None:
        first, last = ends[number], ends[number + 1]
        top, bottom = max(first - _REACH, 0), min(last + _REACH, height)
        inside = slice(first - top, last - top)
        for whole, part in zip(result, _blobs_of(image[top:bottom]), strict=True):
            whole[first:last] = part[inside]

    others = [_stripes().submit(fill, number) for number in range(1, count)]
    fill(0)
    for other in others:
        other.result()
    return result


def _stack(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return arrays as one, without a copy where there is only one."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


@cache
def _stripes() -> ThreadPoolExecutor:
    """Return the threads that look at parts of an image."""
    return ThreadPoolExecutor(_MOST_STRIPES - 1, 'blobs')


def _blobs_of(image: np.ndarray) -> tuple[np.ndarray, ...]:
    smooth = image if image.dtype == np.uint8 else image.astype(np.float32)
    highest, first, lowest, xx, yy, xy, *both = _scratch.arrays(image.shape)
    for number, (scale, bell) in enumerate(zip(SCALES, _STEPS, strict=True)):
        smooth = _filter(smooth, bell, bell, both[number % 2])
        _filter(smooth, scale**2 * _CURVE, _ITSELF, xx)
        _filter(smooth, _ITSELF, scale**2 * _CURVE, yy)
        _filter(smooth, scale * _SLOPE, scale * _SLOPE, xy)
        np.multiply(xx, yy, out=xx)
        if number == 0:
            best = xx - np.square(xy, out=xy)
            strength = best * np.float32(WORTHS[0])
            continue
        target = first if number == 1 else xx
        np.subtract(xx, np.square(xy, out=xy), out=target)
        if number == 1:
            highest[:], lowest[:] = first, first
        else:
            np.maximum(highest, xx, out=highest)
            np.minimum(lowest, xx, out=lowest)
        np.multiply(target, np.float32(WORTHS[number]), out=yy)
        np.maximum(strength, yy, out=strength)
    np.maximum(best, highest, out=best)
    crossing = highest < np.multiply(lowest, np.float32(LIKENESS), out=lowest)
    last, slope = xx, yy
    limit = np.multiply(last, np.float32(-LEVEL / SCALES[-1] ** 2), out=last)
    for way in ((_SLOPE, _ITSELF), (_ITSELF, _SLOPE)):
        limit -= np.square(_filter(smooth, *way, slope), out=slope)
    crossing &= limit > 0
    np.negative(first, out=first)
    for each in (best, strength):
        np.maximum(each, first, out=each, where=crossing)
    peak = best >= cv2.dilate(best, _AROUND, dst=highest)
    peak &= best > LEAST_RESPONSE
    return best, strength, crossing, peak


def _filter(
    image: np.ndarray, across: np.ndarray, down: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Return `out`, an image filtered along x and along y."""
    border = cv2.BORDER_REPLICATE
    if len(across) == 1 or len(down) == 1:  # in one pass
        return cv2.filter2D(image, cv2.CV_32F, np.outer(down, across), dst=out, borderType=border)
    return cv2.sepFilter2D(image, cv2.CV_32F, across, down, dst=out, borderType=border)


class _Scratch(threading.local):
    """
    Arrays that a thread uses again for the next image of the same size.

    Memory of this size comes fresh from the system each time, page by page, which takes three
    times as long as all the filters. Large images go without, lest it be kept for ever.
    """

    LARGEST = 2**20  # pixels: 32 MB

    def __init__(self):
        self._kept = np.empty((8, 0, 0), np.float32)

    def arrays(self, shape: tuple[int, int]) -> np.ndarray:
        """Return float32 (8, H, W), whatever is in it."""
        if self._kept.shape[1:] == shape:
            return self._kept
        made = np.empty((8, *shape), np.float32)
        if made[0].size <= self.LARGEST:
            self._kept = made
        return made


_scratch = _Scratch()


def blob_scores(heatmap: torch.Tensor, blobs: Blobs) -> torch.Tensor:
    """
    Return what each blob is worth as a keypoint, float32 (B, H, W), 0 where there is none.

    `heatmap` (B, H, W) is the network's probability of a keypoint at each pixel, `blobs` are those
    of the images. A blob's score is the probability that a keypoint is near, to the power 3/4,
    times S / (S + HALF_STRENGTH) for its strength S: faint blobs are those that noise or another
    light moves.
    """
    if _takes_opencv(heatmap):
        parts = (heatmap, blobs.strength, blobs.crossing, blobs.peak)
        each = zip(*(part.numpy() for part in parts), strict=True)
        return torch.from_numpy(_stack(tuple(_scores_of(*of_one) for of_one in each)))
    near = _filtered(heatmap[:, None], _NEAR, _NEAR)[:, 0].clamp(0, 1)
    near = torch.where(blobs.crossing, near.clamp_min(CERTAINTY), near)
    strength = blobs.strength.clamp_min(0)
    return torch.where(blobs.peak, near**POWER * strength / (strength + HALF_STRENGTH), 0.0)


def _scores_of(
    heatmap: np.ndarray, strength: np.ndarray, crossing: np.ndarray, peak: np.ndarray
) -> np.ndarray:
    """Return the scores of one image (H, W)."""
    near = cv2.sepFilter2D(heatmap, cv2.CV_32F, _NEAR, _NEAR, borderType=cv2.BORDER_REPLICATE)
    places = np.flatnonzero(peak)
    strength = strength.ravel()[places]
    sure = CERTAINTY * crossing.ravel()[places]
    probability = np.clip(near.ravel()[places], sure, 1)
    scores = np.zeros(heatmap.shape, np.float32)
    scores.ravel()[places] = probability**POWER * (strength / (strength + HALF_STRENGTH))
    return scores


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


def _takes_opencv(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is OpenCV's to work on: not where a graph is being recorded."""
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()
    return tensor.device.type == 'cpu' and not recorded and not tensor.requires_grad
