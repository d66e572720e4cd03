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
Corners by the image's gradients, at which keypoints are exact.

A network that looks at cells of 8x8 pixels knows where a keypoint is to about a pixel: moved by a
few pixels, the same image gives keypoints that differ by 0.6 px on average. The maxima of a
response of the gradients move with the image. So the network says which places are keypoints, and
the response where exactly they are, and how strong.

The response is det / trace of the gradients' second moments: as large as the lesser eigenvalue
where that is much less, and smooth. Sources: Foerstner, "A Fast Operator for Detection and
Precise Location of Distinct Points", ISPRS 1987; Noble, "Finding Corners", Image and Vision
Computing 1988.

All functions work on tensors on any device, without a loop over points, and with the operations
that ONNX has. On a CPU two of them take OpenCV, which is several times as fast, for the same
result.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np
import torch
import torch.nn.functional as F

SMOOTHING, WINDOW = 0.7, 1.5
"""Sigmas in pixels of the gradients and of the window in which they are gathered."""

NEARNESS = 1.0
"""Sigma in pixels of the bell in which a corner gathers the probability of a keypoint."""

HALF_STRENGTH = 30.0
"""Response, in squared gray levels a pixel, of a corner that is worth half of a strong one."""

LEAST_STRENGTH = 0.01
"""Response at and below which there is no corner."""


def _bell(sigma: float, reach: int) -> np.ndarray:
    steps = np.arange(-reach, reach + 1)
    bell = np.exp(-(steps**2) / (2 * sigma**2))
    return (bell / bell.sum()).astype(np.float32)


# Sobel's operator on a smoothed image, as one kernel across the gradient and one along it.
_ACROSS = np.convolve(_bell(SMOOTHING, 2), np.float32([0.25, 0.5, 0.25]))
_ALONG = np.convolve(_bell(SMOOTHING, 2), np.float32([-0.5, 0.0, 0.5]))
_GATHER = _bell(WINDOW, 4)
# Of height 1, not of area 1: what it gathers is the probability that a keypoint is near.
_NEAR = _bell(NEARNESS, 3) * np.float32(np.sqrt(2 * np.pi) * NEARNESS)


def corner_response(images: torch.Tensor) -> torch.Tensor:
    """
    Return the response at each pixel, float32 (B, H, W), in squared gray levels a pixel.

    `images` are (B, 1, H, W) of gray levels from 0 to 255, uint8 or floating point. Beyond an
    image's border its last pixels repeat.
    """
    if _takes_opencv(images):
        return torch.from_numpy(np.stack([response_of(image) for image in images[:, 0].numpy()]))
    images = images.float()
    x, y = _filtered(images, _ALONG, _ACROSS), _filtered(images, _ACROSS, _ALONG)
    products = torch.cat([x * x, x * y, y * y], dim=1)
    xx, xy, yy = _filtered(products, _GATHER, _GATHER).unbind(1)
    return (xx * yy - xy * xy) / (xx + yy + 1e-3)


def response_of(image: np.ndarray) -> np.ndarray:
    """Return the same of one image (H, W), float32 (H, W)."""
    if image.dtype != np.uint8:
        image = image.astype(np.float32)
    x, y, xx, xy, yy = _scratch.arrays(image.shape)
    _filter(image, _ALONG, _ACROSS, x)
    _filter(image, _ACROSS, _ALONG, y)
    for a, b, product in ((x, x, xx), (x, y, xy), (y, y, yy)):
        _filter(np.multiply(a, b, out=product), _GATHER, _GATHER, product)
    trace = np.add(xx, yy, out=x)
    trace += np.float32(1e-3)
    determinant = np.multiply(xx, yy, out=y)
    determinant -= np.square(xy, out=xy)
    return determinant / trace


def _filter(image: np.ndarray, across: np.ndarray, down: np.ndarray, out: np.ndarray) -> None:
    """Filter an image along x and along y."""
    cv2.sepFilter2D(image, cv2.CV_32F, across, down, dst=out, borderType=cv2.BORDER_REPLICATE)


class _Scratch(threading.local):
    """
    Arrays that a thread uses again for the next image of the same size.

    Memory of this size comes fresh from the system each time, page by page, which takes three
    times as long as all the filters. Large images go without, lest it be kept for ever.
    """

    LARGEST = 2**21  # pixels: 40 MB

    def __init__(self):
        self._kept = np.empty((5, 0, 0), np.float32)

    def arrays(self, shape: tuple[int, int]) -> np.ndarray:
        """Return float32 (5, H, W), whatever is in it."""
        if self._kept.shape[1:] == shape:
            return self._kept
        made = np.empty((5, *shape), np.float32)
        if made[0].size <= self.LARGEST:
            self._kept = made
        return made


_scratch = _Scratch()


def corner_scores(heatmap: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
    """
    Return what each corner is worth as a keypoint, float32 (B, H, W), 0 where there is none.

    `heatmap` (B, H, W) is the network's probability of a keypoint at each pixel, `response` that
    of the image. Corners are the response's maxima in 3x3 pixels. A corner's score is the
    probability that a keypoint is near, times R / (R + HALF_STRENGTH) for its response R: faint
    corners are those that noise or another light moves.
    """
    if _takes_opencv(heatmap):
        pairs = zip(heatmap.numpy(), response.numpy(), strict=True)
        return torch.from_numpy(np.stack([_scores_of(*pair) for pair in pairs]))
    near = _filtered(heatmap[:, None], _NEAR, _NEAR)[:, 0].clamp(0, 1)
    highest = F.max_pool2d(response[:, None], 3, stride=1, padding=1)[:, 0]
    corner = (response >= highest) & (response > LEAST_STRENGTH)
    strength = response.clamp_min(0)
    return torch.where(corner, near * strength / (strength + HALF_STRENGTH), 0.0)


def _scores_of(heatmap: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return the scores of one image (H, W)."""
    near = cv2.sepFilter2D(heatmap, cv2.CV_32F, _NEAR, _NEAR, borderType=cv2.BORDER_REPLICATE)
    highest = cv2.dilate(response, np.ones((3, 3), np.uint8))
    places = np.flatnonzero((response >= highest) & (response > LEAST_STRENGTH))
    strength = response.ravel()[places]
    scores = np.zeros(heatmap.shape, np.float32)
    scores.ravel()[places] = np.clip(near.ravel()[places], 0, 1) * (
        strength / (strength + HALF_STRENGTH)
    )
    return scores


def corner_offsets(
    response: torch.Tensor, image: torch.Tensor, y: torch.Tensor, x: torch.Tensor
) -> torch.Tensor:
    """
    Return (..., 2): how far in x and y a corner lies from its pixel, up to half a pixel.

    It is the vertex of parabolas through the response (B, H, W) at the pixel and its neighbours.
    `image`, `y` and `x` are indices of one shape.
    """
    _, height, width = response.shape
    row = image * height
    here = _at(response, (row + y) * width + x)
    left = _at(response, (row + y) * width + (x - 1).clamp_min(0))
    right = _at(response, (row + y) * width + (x + 1).clamp_max(width - 1))
    above = _at(response, (row + (y - 1).clamp_min(0)) * width + x)
    below = _at(response, (row + (y + 1).clamp_max(height - 1)) * width + x)
    return torch.stack([_vertex(left, here, right), _vertex(above, here, below)], dim=-1)


def _at(response: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return response.flatten()[places]


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
