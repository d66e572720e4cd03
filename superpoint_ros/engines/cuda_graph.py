# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Detection on GPUs: a CUDA graph from images to features, recorded once for each size of images.

The graph holds the copy of the images from pinned memory, the network, the detection pipeline and
the copy of the result to pinned memory. A frame is then one launch, and the CPU waits once. On a
CPU the same steps run one by one, so that they can be tested without a GPU.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
import threading
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from superpoint_ros.common.settings_table import table_of
from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.detection.nms import ROUNDS
from superpoint_ros.detection.pipeline import count_places, detect, PaddedFeatures
from superpoint_ros.detection.preprocessing import pad
from superpoint_ros.detection.settings import DetectionSettings, NO_PREPROCESSING
from superpoint_ros.features import Features
from superpoint_ros.model.config import SuperPointOutput

GRAPHS = 4
"""Number of graphs, for sizes of images and settings, that are kept: each occupies GPU memory."""

Network = Callable[[torch.Tensor], SuperPointOutput]
"""uint8 images (B, 1, H, W) on the CPU or the device -> the network's output on the device."""


class _Key(NamedTuple):
    """What is fixed in a graph."""

    shape: tuple[int, ...]
    size: tuple[int, int]
    settings: DetectionSettings


class CudaGraphPipeline:
    """
    Detection on a CUDA device, with a graph for each size of images and settings.

    Several threads may call it; their calls of `detect` are serialised.
    """

    STEPS: ClassVar[dict[str, str]] = {'network': 'detect'}
    """Stages of a frame, and the methods in which they take place, for profilers."""

    def __init__(self, network: Network, device: str):
        self._network = network
        self._device = torch.device(device)
        self._graphs: OrderedDict[_Key, _Graph] = OrderedDict()
        self._lock = threading.Lock()

    def detect(
        self,
        grays: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        settings: DetectionSettings,
    ) -> list[Features]:
        """
        Return the features of images, uint8 (H, W), of one size.

        `masks` are bool (H, W), false where keypoints may not be, or None.
        """
        images, size = torch.from_numpy(pad(list(grays))), grays[0].shape
        mask = _stack(masks, size)
        key = _Key(tuple(images.shape), size, _fixed_settings(settings, size))
        device = torch.cuda.device(self._device) if self._device.type == 'cuda' else nullcontext()
        with self._lock, device, torch.inference_mode():
            if key not in self._graphs:
                while len(self._graphs) >= GRAPHS:
                    self._graphs.popitem(last=False)
                self._graphs[key] = _Graph(self._network, self._device, key)
            self._graphs.move_to_end(key)
            found = self._graphs[key].run(images, settings.threshold, mask)
            if found is None:  # the rounds of suppression in the graph were too few
                found = self._detect_without_graph(images, size, mask, settings)
        return [features.best(settings.max_keypoints) for features in found]

    @torch.inference_mode()
    def describe(
        self, grays: Sequence[np.ndarray], keypoints: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Return unit descriptors (N, D) at keypoints (N, 2) of each image, uint8 (H, W)."""
        output = self._network(torch.from_numpy(pad(list(grays))))
        return [
            sample_descriptors(
                output.apply(lambda part, index=index: part[index : index + 1]),
                torch.from_numpy(points)[None].to(self._device),
            )[0]
            .cpu()
            .numpy()
            for index, points in enumerate(keypoints)
        ]

    def _detect_without_graph(
        self,
        images: torch.Tensor,
        size: tuple[int, int],
        mask: torch.Tensor | None,
        settings: DetectionSettings,
    ) -> list[Features]:
        """Return the features of padded images; suppression has as many rounds as it needs."""
        images = images.to(self._device)
        mask = None if mask is None else mask.to(self._device)
        seen = images[:, :, : size[0], : size[1]]
        _, found = detect(self._network(images), seen, settings, mask=mask)
        return _unpack(_rows(found).cpu().numpy())


class _Graph:
    """A recorded graph for one size and settings, with its memory."""

    def __init__(self, network: Network, device: torch.device, key: _Key):
        self._network = network
        self._key = key
        is_cuda = device.type == 'cuda'
        count = key.shape[0]
        self._host_images = torch.zeros(key.shape, dtype=torch.uint8, pin_memory=is_cuda)
        self._host_threshold = torch.zeros(1, pin_memory=is_cuda)
        self._images = self._host_images.to(device)
        self._threshold = self._host_threshold.to(device)
        self._allowed = torch.ones((count, *key.size), dtype=torch.bool, device=device)
        self._all_allowed = True
        self._stream = torch.cuda.Stream(device) if is_cuda else None
        shape = self._warm_up() if is_cuda else self._calculate().shape
        self._host_result = torch.zeros(shape, pin_memory=is_cuda)
        self._graph = self._capture() if is_cuda else None

    def _calculate(self) -> torch.Tensor:
        """
        Return all results as one tensor, float32 (B, K + 1, 3 + D).

        Rows hold x, y, score and descriptor of a keypoint; the last one is positive if suppression
        left pixels undecided, else zero.
        """
        height, width = self._key.size
        steps, found = detect(
            self._network(self._images),
            self._images[:, :, :height, :width],
            self._key.settings,
            self._threshold,
            self._allowed,
            ROUNDS,
        )
        rows = _rows(found)
        last = steps.undecided.float()[:, None, None].expand(-1, 1, rows.shape[2])
        return torch.cat([rows, last], dim=1)

    def _warm_up(self) -> torch.Size:
        """Return the result's shape after some runs, in which libraries choose their kernels."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(3):
                result = self._calculate()
        self._stream.synchronize()
        return result.shape

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Return the recorded graph, with the copies to the device and back."""
        graph = torch.cuda.CUDAGraph()
        # Other threads may use CUDA at the same time: new weights load while old ones are in use.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode='thread_local'):
            self._images.copy_(self._host_images, non_blocking=True)
            self._threshold.copy_(self._host_threshold, non_blocking=True)
            self._host_result.copy_(self._calculate(), non_blocking=True)
        return graph

    def run(
        self, images: torch.Tensor, threshold: float, mask: torch.Tensor | None
    ) -> list[Features] | None:
        """Return the features of each image, None if suppression was not finished."""
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
        result = self._host_result.numpy()
        return None if result[:, -1, 0].any() else _unpack(result[:, :-1])

    def _set_mask(self, mask: torch.Tensor | None) -> None:
        """Allow keypoints where the mask (B, H, W) is true; everywhere if it is None."""
        if mask is None and self._all_allowed:
            return
        self._all_allowed = mask is None
        if mask is None:
            self._allowed.fill_(True)
        else:
            self._allowed.copy_(mask)
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream())


def _fixed_settings(settings: DetectionSettings, size: tuple[int, int]) -> DetectionSettings:
    """
    Return the settings that a graph is recorded with.

    The threshold is an input, and preprocessing is not a part of the graph. The number of
    keypoints is rounded up to a power of two, so that few changes of it need another graph, except
    for a grid, where it decides which ones are chosen.
    """
    most = settings.max_keypoints
    if not settings.grid_cells:
        limit = int(table_of(DetectionSettings)['max_keypoints'].range[1])
        places = count_places(*size, settings.nms_radius)
        most = min(1 << (most - 1).bit_length(), places, limit)
    return replace(
        settings,
        threshold=0.0,
        max_keypoints=most,
        **NO_PREPROCESSING,
    )


def _stack(masks: Sequence[np.ndarray | None], size: tuple[int, int]) -> torch.Tensor | None:
    """Return masks as bool (B, H, W), None if all are None."""
    if all(mask is None for mask in masks):
        return None
    return torch.from_numpy(
        np.stack([np.ones(size, bool) if mask is None else mask for mask in masks])
    )


def _rows(found: PaddedFeatures) -> torch.Tensor:
    """Return x, y, score and descriptor of each place, float32 (B, K, 3 + D)."""
    return torch.cat([found.keypoints, found.scores[:, :, None], found.descriptors], dim=2)


def _unpack(result: np.ndarray) -> list[Features]:
    """Return the features, copied, of each image from rows (B, K, 3 + D)."""
    features = []
    for rows in result:
        count = int((rows[:, 2] > 0).sum())
        kept = rows[:count].copy()
        descriptors = np.ascontiguousarray(kept[:, 3:])
        features.append(Features(kept[:, :2].copy(), kept[:, 2].copy(), descriptors))
    return features
