# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The Detector: from images to features; programs, the node and the evaluation use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np

from superpoint_ros.common.contrast import stretch_contrast
from superpoint_ros.common.settings_table import make_settings, table_of
from superpoint_ros.detection.cpu import CpuPipeline
from superpoint_ros.detection.cpu_descriptors import average_scales
from superpoint_ros.detection.cpu_heatmap import heatmap_from_logits
from superpoint_ros.detection.memory_limit import limit_memory
from superpoint_ros.detection.preprocessing import (
    check_masks,
    image_pyramid,
    pad,
    rescale_keypoints,
    resize,
    resize_mask,
    to_gray,
)
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines.engine import create_engine, Engine, limit_threads_after_fork
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.features import Features
from superpoint_ros.model.weights import read_weights, WeightsMetadata
from superpoint_ros.resources import find_weights

if TYPE_CHECKING:
    from superpoint_ros.model.superpoint import SuperPoint


class Detector:
    """
    Detects keypoints in images and describes them.

    Images are uint8, gray (H, W) or BGR (H, W, 3), of any size from 16x16 pixels. They are padded
    on the right and at the bottom to multiples of 8 pixels by repeating the last ones. Those of
    low contrast are stretched (`min_contrast`), and none is resized unless `max_image_size` or
    `upscale_factor` ask for it. Coordinates are pixel centres of the image that was passed: the
    centre of its top-left pixel is (0, 0).

    A detector does not change, and threads may share it. In a forked process it uses one thread;
    on CUDA, processes must be spawned. A detector with the weights of a file can be pickled; the
    other process loads the file.

    Attributes:
        engine: runs the network.
        pipeline: finds features with the engine: `CpuPipeline` or `CudaGraphPipeline`.
        descriptor_size: length D of a descriptor.
        settings: of calls that are given no others.
        metadata: of the weights.
        weights: path of the weight file, None for a network in memory.

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
        self._made_by: Callable[[], Detector] | None = None
        # The only place that chooses between the two implementations.
        if engine.device == 'cpu':
            self.pipeline = CpuPipeline(engine.infer)
        else:
            from superpoint_ros.engines.cuda_graph import CudaGraphPipeline

            self.pipeline = CudaGraphPipeline(engine.infer, engine.device)

    @classmethod
    def from_weights(
        cls,
        path: str | Path | None = None,
        **settings,
    ) -> Detector:
        """
        Return a detector with the weights of a file, by default the shipped ones for general use.

        `path` may also be the name of a shipped file, see `find_weights`. `settings` are fields of
        `DetectionSettings` and of `ExecutionSettings`, such as `device`. Raises FileNotFoundError
        or WeightsError for the file, and ValueError or TypeError for an invalid setting or one
        that this machine cannot run.
        """
        execution, detection = _split(settings)
        path = find_weights(path)
        network, metadata = read_weights(path)
        engine = create_engine(network, execution)
        detector = cls(engine, network.config.descriptor_size, detection, metadata, path)
        detector._made_by = partial(cls.from_weights, path, **settings)
        return detector

    @classmethod
    def from_model(cls, model: SuperPoint, **settings) -> Detector:
        """
        Return a detector with a network in memory, for instance one that is being trained.

        `settings` are those of `from_weights`. By default the network runs in PyTorch in float32,
        the reference for other engines and precisions.
        """
        reference = {'engine': 'torch', 'precision': 'float32'}
        execution, detection = _split({**reference, **settings})
        return cls(create_engine(model, execution), model.config.descriptor_size, detection)

    def __reduce__(self) -> tuple[Callable[[], Detector], tuple[()]]:
        """Return how a copy is made in another process: no engine can be pickled."""
        if self._made_by is None:
            raise TypeError(
                'a detector of a network in memory cannot be copied nor pickled: save the network '
                'and use Detector.from_weights'
            )
        return self._made_by, ()

    def __repr__(self) -> str:
        weights = self.weights.name if self.weights else 'network in memory'
        return f'Detector({weights}, {self.engine.name} {self.engine.precision} on {self.device})'

    @property
    def settings(self) -> DetectionSettings:
        """Return the settings of calls that are given no others; they cannot be replaced."""
        return self._settings

    @property
    def device(self) -> str:
        """Return the name of the device that runs the network."""
        return self.engine.device

    def __call__(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        mask: np.ndarray | Sequence[np.ndarray | None] | None = None,
        settings: DetectionSettings | None = None,
    ) -> Features | list[Features]:
        """
        Return the features of an image, or a list of the features of a list of images.

        Images of the same size in a list are processed as one batch.

        Args:
            images: uint8 (H, W) or (H, W, 3), BGR, of at least 16x16 pixels.
            mask: (H, W), zero where keypoints may not be, of the size of each image; for a list
                of images also a list with a mask or None for each.
            settings: of this call; the default is the settings of the detector.

        Raises:
            ValueError: if an image or a mask is invalid; the message says what it must be.
            TypeError: if settings are not `DetectionSettings`.
            MemoryError: if a large image needs more memory than is available; or another error,
                of the library that runs the network.

        """
        if isinstance(images, str) or not isinstance(images, Sequence):
            return self([images], mask, settings)[0]
        settings = self._settings if settings is None else settings
        if not isinstance(settings, DetectionSettings):
            raise TypeError(
                'settings must be DetectionSettings, for example '
                'dataclasses.replace(detector.settings, threshold=0.01); got '
                f'{type(settings).__name__}'
            )
        limit_threads_after_fork()
        originals, grays, masks = self.preprocess(images, mask, settings)
        batches: dict[tuple[int, int], list[int]] = {}
        for index, gray in enumerate(grays):
            batches.setdefault(gray.shape, []).append(index)
        result: dict[int, Features] = {}
        for indices in batches.values():
            batch = [grays[index] for index in indices]
            with limit_memory(sum(map(np.size, batch)) if self.device == 'cpu' else 0):
                found = self._detect(batch, [masks[index] for index in indices], settings)
            result |= zip(indices, found, strict=True)
        return [
            _map_back(result[index], gray, original)
            for index, (gray, original) in enumerate(zip(grays, originals, strict=True))
        ]

    def heatmap(self, image: np.ndarray) -> np.ndarray:
        """Return the network's probability of a keypoint at each pixel, float32 (H, W)."""
        limit_threads_after_fork()
        gray = stretch_contrast(to_gray(image), self._settings.min_contrast)
        with limit_memory(gray.size if self.device == 'cpu' else 0):
            logits = self.engine.infer(pad([gray])).logits
        return heatmap_from_logits(logits[0].transpose(1, 2, 0), gray.shape)

    def warm_up(self, size: tuple[int, int] = (640, 480)) -> None:
        """
        Process an image of (width, height), so that compilation delays no later call.

        It is noise with keypoints: without them, some steps would be left out.
        """
        noise = np.random.default_rng(0).integers(0, 256, size[::-1], np.uint8)
        self(noise, settings=replace(self.settings, threshold=0.0))

    @staticmethod
    def preprocess(
        images: Sequence[np.ndarray],
        mask: np.ndarray | Sequence[np.ndarray | None] | None,
        settings: DetectionSettings,
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray | None]]:
        """
        Return the gray images, the same with the size and contrast of the settings, and the masks.

        The masks have the size of the latter.
        """
        originals = [to_gray(image) for image in images]
        masks = check_masks(mask, originals)
        grays = [resize(gray, settings) for gray in originals]
        resized = [
            None if each is None else resize_mask(each, gray.shape)
            for each, gray in zip(masks, grays, strict=True)
        ]
        grays = [
            stretch_contrast(gray, settings.min_contrast, each)
            for gray, each in zip(grays, resized, strict=True)
        ]
        return originals, grays, resized

    def _detect(
        self,
        grays: list[np.ndarray],
        masks: list[np.ndarray | None],
        settings: DetectionSettings,
    ) -> list[Features]:
        """Return the features of gray images of one size, in their pixels."""
        found = self.pipeline.detect(grays, masks, settings)
        pyramids = [image_pyramid(gray, settings.descriptor_scales) for gray in grays]
        if len(pyramids[0]) == 1:
            return found
        scales = [[features.descriptors] for features in found]
        for smaller in list(zip(*pyramids, strict=True))[1:]:
            moved = [
                rescale_keypoints(features.keypoints, gray, image)
                for features, gray, image in zip(found, grays, smaller, strict=True)
            ]
            for of_image, sampled in zip(
                scales, self.pipeline.describe(smaller, moved), strict=True
            ):
                of_image.append(sampled)
        return [
            replace(features, descriptors=average_scales(of_image))
            for features, of_image in zip(found, scales, strict=True)
        ]


def _split(settings: Mapping[str, Any]) -> tuple[ExecutionSettings, DetectionSettings]:
    """
    Return settings by name as their two groups; the weight file is not one of them.

    Raises TypeError for `weights` and for unknown settings.
    """
    if 'weights' in settings:
        raise TypeError('weights is not a setting: give the weight file as the argument path')
    names = [name for name in table_of(ExecutionSettings) if name != 'weights']
    execution = {name: value for name, value in settings.items() if name in names}
    detection = {name: value for name, value in settings.items() if name not in names}
    return ExecutionSettings(**execution), make_settings(DetectionSettings, detection, names)


def _map_back(features: Features, resized: np.ndarray, original: np.ndarray) -> Features:
    """Return the features of a resized image with keypoints in pixels of the original."""
    keypoints = rescale_keypoints(features.keypoints, resized, original)
    return replace(features, keypoints=keypoints)
