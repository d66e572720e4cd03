# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A frame from uint8 images to features as one program of fixed sizes, for CUDA graphs.

On CUDA the copy of the images from pinned memory, the network, decoding into a fixed number of
places and the copy of the result to pinned memory are captured once for each size of images and
settings. A frame is then one launch, and the processor waits once. On a CPU the same program
runs step by step: that is how it is tested without a GPU.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
import threading
from typing import NamedTuple

import numpy as np
import torch

from superpoint_ros.detection.heatmap import heatmap_from_logits, score_pixels
from superpoint_ros.detection.hessian import find_blobs
from superpoint_ros.detection.pipeline import fixed_features, inside_margin, suppress_in_rounds
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.features import Features
from superpoint_ros.model.superpoint import SuperPointOutput

ROUNDS = 16
"""Rounds of suppression; where they are too few, a frame is decoded as elsewhere."""

MOST_KEYPOINTS = 8192
"""Places for keypoints beyond which their number is better left open."""

FRAMES = 4
"""Sizes and settings whose programs are kept, those used last: each keeps its memory."""

Network = Callable[[torch.Tensor], SuperPointOutput]
"""uint8 images (B, 1, H, W) on the device -> the network's output there."""


class _Key(NamedTuple):
    """What is fixed in a program."""

    shape: tuple[int, ...]
    size: tuple[int, int]
    settings: DetectionSettings


class WholeFrames:
    """
    Find the features of frames by a program for each size, kept for the next frame.

    Threads may call this at the same time; they take turns.
    """

    def __init__(self, network: Network, device: torch.device):
        self._network = network
        self._device = device
        self._programs: OrderedDict[_Key, _Program] = OrderedDict()
        self._turn = threading.Lock()

    def __call__(
        self,
        images: torch.Tensor,
        size: tuple[int, int],
        settings: DetectionSettings,
        mask: torch.Tensor | None = None,
    ) -> list[Features] | None:
        """
        Return the features of each of the padded images (B, 1, H, W), uint8 and on the CPU.

        `size` is their height and width without the padding, and `mask`, bool (B, height, width),
        false where no keypoints may be. None is returned where the program cannot tell: where
        keypoints are to be spread over a grid, very many are wanted, or suppression needs more
        rounds than it has.
        """
        if settings.grid_cells or settings.max_keypoints > MOST_KEYPOINTS:
            return None
        # The threshold is an input. Places are a power of two, so that few changes of their number
        # need another program.
        fixed = DetectionSettings(
            nms_radius=settings.nms_radius,
            max_keypoints=1 << (settings.max_keypoints - 1).bit_length(),
            border_margin=settings.border_margin,
            subpixel=settings.subpixel,
            keypoints=settings.keypoints,
        )
        key = _Key(tuple(images.shape), size, fixed)
        where = torch.cuda.device(self._device) if self._device.type == 'cuda' else nullcontext()
        with self._turn, where, torch.inference_mode():
            if key not in self._programs:
                while len(self._programs) >= FRAMES:
                    self._programs.popitem(last=False)
                self._programs[key] = _Program(self._network, self._device, key)
            self._programs.move_to_end(key)
            found = self._programs[key].run(images, settings.threshold, mask)
        return found and [features.best(settings.max_keypoints) for features in found]


class _Program:
    """The program for one size and settings, with its memory."""

    def __init__(self, network: Network, device: torch.device, key: _Key):
        self._network = network
        self._key = key
        pinned = device.type == 'cuda'
        count = key.shape[0]
        self._host_images = torch.zeros(key.shape, dtype=torch.uint8, pin_memory=pinned)
        self._host_threshold = torch.zeros(1, pin_memory=pinned)
        self._images = self._host_images.to(device)
        self._threshold = self._host_threshold.to(device)
        self._allowed = torch.ones((count, *key.size), device=device)
        self._all_allowed = True
        self._stream = torch.cuda.Stream(device) if pinned else None
        shape = self._warm_up() if pinned else self._calculate().shape
        self._host_result = torch.zeros(shape, pin_memory=pinned)
        self._graph = self._capture() if pinned else None

    def _calculate(self) -> torch.Tensor:
        """
        Return all results as one tensor, float32 (B, K + 1, 3 + D).

        Rows hold x, y, score and descriptor of a keypoint, the last one the number of pixels that
        suppression left undecided.
        """
        height, width = self._key.size
        settings = self._key.settings
        output = self._network(self._images)
        heatmap = heatmap_from_logits(output.logits)[:, :height, :width]
        seen = self._images[:, :, :height, :width]
        blobs = find_blobs(seen) if settings.keypoints == 'hessian' else None
        values = score_pixels(heatmap, blobs)
        peaks = torch.where(values >= self._threshold, values, 0.0)
        undecided = torch.zeros_like(peaks)
        if settings.nms_radius:
            peaks, undecided = suppress_in_rounds(peaks, settings.nms_radius, ROUNDS)
        inside = inside_margin(height, width, settings.border_margin, peaks.device)
        peaks = peaks * inside * self._allowed
        descriptors = output.descriptors.float()
        found = fixed_features(heatmap, peaks, descriptors, settings, blobs)
        rows = torch.cat([found.keypoints, found.scores[:, :, None], found.descriptors], dim=2)
        left = (undecided > 0).sum(dim=(1, 2)).float()
        return torch.cat([rows, left[:, None, None].expand(-1, 1, rows.shape[2])], dim=1)

    def _warm_up(self) -> torch.Size:
        """Return the result's shape after some runs, in which libraries choose their kernels."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(3):
                result = self._calculate()
        self._stream.synchronize()
        return result.shape

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Return the graph: copies there and back, and all between them."""
        graph = torch.cuda.CUDAGraph()
        # Other threads may use CUDA meanwhile: new weights are made ready while old ones work.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode='thread_local'):
            self._images.copy_(self._host_images, non_blocking=True)
            self._threshold.copy_(self._host_threshold, non_blocking=True)
            self._host_result.copy_(self._calculate(), non_blocking=True)
        return graph

    def run(
        self, images: torch.Tensor, threshold: float, mask: torch.Tensor | None
    ) -> list[Features] | None:
        """Return the features of each image, None where suppression was not finished."""
        self._host_images.copy_(images)
        self._host_threshold.fill_(threshold)
        self._set_mask(mask)
        if self._graph is None:
            self._images.copy_(self._host_images)
            self._threshold.copy_(self._host_threshold)
            self._host_result.copy_(self._calculate())
        else:
            with torch.cuda.stream(self._stream):
                self._graph.replay()
            self._stream.synchronize()
        return _unpack(self._host_result.numpy())

    def _set_mask(self, mask: torch.Tensor | None) -> None:
        """Let keypoints be where the mask is true; everywhere without one."""
        if mask is None and self._all_allowed:
            return
        self._all_allowed = mask is None
        if mask is None:
            self._allowed.fill_(1.0)
        else:
            self._allowed.copy_(mask)
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream())


def _unpack(result: np.ndarray) -> list[Features] | None:
    """Return the features of each image, copied; None where a pixel was left undecided."""
    if result[:, -1, 0].any():
        return None
    features = []
    for rows in result[:, :-1]:
        count = int((rows[:, 2] > 0).sum())
        kept = rows[:count].copy()
        descriptors = np.ascontiguousarray(kept[:, 3:])
        features.append(Features(kept[:, :2].copy(), kept[:, 2].copy(), descriptors))
    return features
