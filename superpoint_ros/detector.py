# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From images to features: the interface that programs, the node and evaluation share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from superpoint_ros.detection.cpu import detect_blobs
from superpoint_ros.detection.cpu_hessian import BlobPoints, find_blob_points
from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.detection.heatmap import detect_keypoints, heatmap_from_logits
from superpoint_ros.detection.hessian import Blobs, find_blobs
from superpoint_ros.detection.image_pyramid import make_levels, pool_descriptors
from superpoint_ros.detection.preprocessing import (
    check_masks,
    pad,
    resize,
    resize_mask,
    scaled,
    to_gray,
)
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines.selection import create_engine, Engine
from superpoint_ros.features import Features
from superpoint_ros.files import default_weights
from superpoint_ros.model.superpoint import SuperPoint, SuperPointOutput
from superpoint_ros.model.weights import load_weights, WeightsMetadata
from superpoint_ros.settings_table import make_settings


class Detector:
    """
    Find keypoints in images and describe them.

    Images are uint8, gray (H, W) or BGR (H, W, 3), of 16x16 pixels or more; any size will do. They
    are padded at the right and at the bottom to whole cells by repeating the last pixels, never
    resized (unless `max_image_size`, `magnification` or `levels` of the settings ask for it), and
    the padding's part of the heatmap is cut off: coordinates are those of the image.

    `settings` hold for calls that are given no others. `on_stage` may be set to a function that is
    told each stage of the work as it ends: 'conversion', 'padding', 'blobs', 'network', 'decoding'
    and 'sampling' (on CUDA 'network' has all that follows in it where it can).
    """

    def __init__(
        self,
        engine: Engine,
        descriptor_size: int,
        settings: DetectionSettings | None = None,
        metadata: WeightsMetadata | None = None,
        weights: Path | None = None,
    ):
        self.engine = engine
        self.descriptor_size = descriptor_size
        self._settings = settings or DetectionSettings()
        self.metadata = metadata or WeightsMetadata()
        self.weights = weights
        self.on_stage: Callable[[str], None] = _ignore

    @classmethod
    def from_weights(
        cls,
        path: str | Path | None = None,
        device: str = 'auto',
        precision: str = 'auto',
        engine: str = 'auto',
        threads: int = 0,
        **settings,
    ) -> Detector:
        """
        Return a detector with the weights of a file, by default those shipped.

        `settings` are the fields of `DetectionSettings`, by name; for device, precision, engine
        and threads see `create_engine`. Raises FileNotFoundError and WeightsError for the file,
        ValueError for a device that is not there, and ValueError or TypeError for a setting that
        cannot be.
        """
        chosen = make_settings(DetectionSettings, settings)
        path = Path(path) if path else default_weights()
        model, metadata = load_weights(path)
        executor = create_engine(model, device, precision, engine, threads)
        return cls(executor, model.config.descriptor_size, chosen, metadata, path)

    @classmethod
    def from_model(
        cls,
        model: SuperPoint,
        device: str = 'auto',
        precision: str = 'float32',
        engine: str = 'torch',
        threads: int = 0,
        **settings,
    ) -> Detector:
        """
        Return a detector with a network in memory, such as one that is being trained.

        It is exact unless asked otherwise: the reference for other engines and precisions.
        """
        executor = create_engine(model, device, precision, engine, threads)
        return cls(
            executor, model.config.descriptor_size, make_settings(DetectionSettings, settings)
        )

    @property
    def settings(self) -> DetectionSettings:
        """Return the settings of calls that are given no others; they cannot be replaced."""
        return self._settings

    @property
    def device(self) -> str:
        """Return the name of the device that runs the network."""
        return str(self.engine.device)

    def __call__(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        mask: np.ndarray | Sequence[np.ndarray | None] | None = None,
        settings: DetectionSettings | None = None,
    ) -> Features | list[Features]:
        """
        Return the features of an image, or a list of those of a list of images.

        `settings` hold for this call; the default is the settings of the detector.

        Images of one size in a list go through the network together. `mask`, (H, W), is zero where
        no keypoints may be; it applies to each image and must have its size; a list has a mask, or
        None, for each. Raises ValueError that names what an image or the mask must be.
        """
        if isinstance(images, np.ndarray):
            return self([images], mask, settings)[0]
        settings = settings or self.settings
        originals = [to_gray(image) for image in images]
        masks = check_masks(mask, originals)
        grays = [resize(gray, settings) for gray in originals]
        self.on_stage('conversion')
        groups: dict[tuple[int, int], list[int]] = {}
        for index, gray in enumerate(grays):
            groups.setdefault(gray.shape, []).append(index)
        found: dict[int, Features] = {}
        for members in groups.values():
            seen = [grays[index] for index in members]
            of_group = self._detect(seen, [masks[index] for index in members], settings)
            if settings.descriptor_scales > 1:
                of_group = self._describe_smaller(seen, of_group, settings.descriptor_scales)
                self.on_stage('sampling')
            found |= zip(members, of_group, strict=True)
        return [
            _map_back(found[index], gray, original)
            for index, (gray, original) in enumerate(zip(grays, originals, strict=True))
        ]

    def heatmap(self, image: np.ndarray) -> np.ndarray:
        """Return the probability of a keypoint at each pixel of an image, (H, W), float32."""
        gray = to_gray(image)
        height, width = gray.shape
        with torch.inference_mode():
            logits = self.engine.infer(pad([gray])).logits
            return heatmap_from_logits(logits)[0, :height, :width].cpu().numpy()

    def warm_up(self, size: tuple[int, int] = (640, 480)) -> None:
        """Run the network once on a blank image of (width, height): later calls are fast."""
        self(np.zeros((size[1], size[0]), np.uint8))

    @torch.inference_mode()
    def _detect(
        self,
        grays: list[np.ndarray],
        masks: list[np.ndarray | None],
        settings: DetectionSettings,
    ) -> list[Features]:
        """Return the features of gray images of one size."""
        height, width = grays[0].shape
        allowed = self._mask_tensor(masks, (height, width))
        padded = pad(grays)
        self.on_stage('padding')
        if hasattr(self.engine, 'detect'):
            whole = self.engine.detect(padded, (height, width), settings, allowed)
            if whole is not None:
                self.on_stage('network')
                return whole
        blobs = self._find_blobs(grays) if settings.keypoints == 'hessian' else None
        self.on_stage('blobs')
        output = self.engine.infer(padded)
        self.on_stage('network')
        return self._decode(output, (height, width), allowed, blobs, settings)

    def _find_blobs(self, grays: list[np.ndarray]) -> list[BlobPoints] | Blobs:
        """Return the blobs of images of one size: of each on a CPU, of all together elsewhere."""
        # Before the network, whose threads may be awake for a while after it.
        if self.engine.device.type == 'cpu':
            return [find_blob_points(gray, torch.get_num_threads()) for gray in grays]
        return find_blobs(torch.from_numpy(np.stack(grays))[:, None].to(self.engine.device))

    def _decode(
        self,
        output: SuperPointOutput,
        size: tuple[int, int],
        allowed: torch.Tensor | None,
        blobs: list[BlobPoints] | Blobs | None,
        settings: DetectionSettings,
    ) -> list[Features]:
        """Return the features in the network's output of images of a size (height, width)."""
        height, width = size
        if isinstance(blobs, list):
            logits = output.logits.float().permute(0, 2, 3, 1).numpy()
            masks = [None] * len(blobs) if allowed is None else allowed.numpy()
            found = [
                detect_blobs(of_image, points, settings, mask)
                for of_image, points, mask in zip(logits, blobs, masks, strict=True)
            ]
            found = [tuple(map(torch.from_numpy, each)) for each in found]
        else:
            with _one_torch_thread() if self.engine.has_own_threads else nullcontext():
                heatmap = heatmap_from_logits(output.logits)[:, :height, :width]
                found = detect_keypoints(heatmap, settings, allowed, blobs)
        self.on_stage('decoding')
        result = []
        for descriptors, (keypoints, scores) in zip(output.descriptors, found, strict=True):
            sampled = sample_descriptors(descriptors, keypoints)
            result.append(
                Features(keypoints.cpu().numpy(), scores.cpu().numpy(), sampled.cpu().numpy())
            )
        self.on_stage('sampling')
        return result

    @torch.inference_mode()
    def _describe_smaller(
        self, grays: list[np.ndarray], found: list[Features], count: int
    ) -> list[Features]:
        """Return features of images of one size, described at smaller sizes besides."""
        of_levels = [[torch.from_numpy(features.descriptors)] for features in found]
        for images in list(zip(*(make_levels(gray, count) for gray in grays), strict=True))[1:]:
            output = self.engine.infer(pad(list(images)))
            for gray, image, coarse, features, sampled in zip(
                grays, images, output.descriptors, found, of_levels, strict=True
            ):
                keypoints = scaled(torch.from_numpy(features.keypoints), gray, image)
                sampled.append(sample_descriptors(coarse, keypoints.to(coarse.device)).cpu())
        return [
            replace(features, descriptors=pool_descriptors(sampled).numpy())
            for features, sampled in zip(found, of_levels, strict=True)
        ]

    def _mask_tensor(
        self, masks: list[np.ndarray | None], shape: tuple[int, int]
    ) -> torch.Tensor | None:
        """Return the masks, brought to the shape, as a tensor on the device; None without any."""
        if all(mask is None for mask in masks):
            return None
        allowed = [
            np.ones(shape, bool) if mask is None else resize_mask(mask, shape) for mask in masks
        ]
        return torch.from_numpy(np.stack(allowed)).to(self.engine.device)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """
    Have what this thread does in PyTorch run in this thread alone.

    PyTorch's other threads look out for more work for some milliseconds after they had any, and so
    take processors from an engine that begins the next frame in threads of its own: a fourth of
    the small network's time in int8. What follows the network is hardly faster in several threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _map_back(features: Features, resized: np.ndarray, original: np.ndarray) -> Features:
    """Return the features of a resized image with their places in the original."""
    keypoints = scaled(torch.from_numpy(features.keypoints), resized, original)
    return replace(features, keypoints=keypoints.numpy())


def _ignore(stage: str) -> None:
    """Do nothing at the end of a stage."""
