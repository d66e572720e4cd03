"""From images to features: the interface that programs, the node and evaluation share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from superpoint_ros.decoding import (
    detect_keypoints,
    DetectionSettings,
    heatmap_from_logits,
    sample_descriptors,
)
from superpoint_ros.engines import create_engine, Engine
from superpoint_ros.features import Features
from superpoint_ros.network import CELL, SMALLEST_SIDE, SuperPoint
from superpoint_ros.resources import default_weights
from superpoint_ros.weights import load_weights, WeightsMetadata


class Detector:
    """
    Find keypoints in images and describe them.

    Images are uint8, gray (H, W) or BGR (H, W, 3), of 16x16 pixels or more; any size will do. They
    are padded at the right and at the bottom to whole cells by repeating the last pixels, never
    resized, and the padding's part of the heatmap is cut off: coordinates are those of the image.

    `settings` may be replaced at any time, also from another thread; a call works with those that
    it found at its beginning.
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
        self.settings = settings or DetectionSettings()
        self.metadata = metadata or WeightsMetadata()
        self.weights = weights

    @classmethod
    def from_weights(
        cls,
        path: str | Path | None = None,
        device: str = 'auto',
        precision: str = 'auto',
        **settings,
    ) -> Detector:
        """
        Return a detector with the weights of a file, by default those shipped.

        `settings` are the fields of `DetectionSettings`, by name. Raises FileNotFoundError and
        WeightsError for the file, ValueError for a device that is not there, and ValueError or
        TypeError for a setting that cannot be.
        """
        chosen = _make_settings(settings)
        path = Path(path) if path else default_weights()
        model, metadata = load_weights(path)
        engine = create_engine(model, device, precision)
        return cls(engine, model.config.descriptor_size, chosen, metadata, path)

    @classmethod
    def from_model(
        cls, model: SuperPoint, device: str = 'auto', precision: str = 'auto', **settings
    ) -> Detector:
        """Return a detector with a network in memory, such as one that is being trained."""
        engine = create_engine(model, device, precision)
        return cls(engine, model.config.descriptor_size, _make_settings(settings))

    @property
    def device(self) -> str:
        """Return the name of the device that runs the network."""
        return str(self.engine.device)

    def __call__(
        self, images: np.ndarray | Sequence[np.ndarray], mask: np.ndarray | None = None
    ) -> Features | list[Features]:
        """
        Return the features of an image, or a list of those of a list of images.

        Images of one size in a list go through the network together. `mask`, (H, W), is zero where
        no keypoints may be; it applies to each image and must have its size. Raises ValueError
        that names what an image or the mask must be.
        """
        if isinstance(images, np.ndarray):
            return self._detect([_to_gray(images)], mask)[0]
        grays = [_to_gray(image) for image in images]
        groups: dict[tuple[int, int], list[int]] = {}
        for index, gray in enumerate(grays):
            groups.setdefault(gray.shape, []).append(index)
        result: list[Features] = [Features.empty(self.descriptor_size)] * len(grays)
        for members in groups.values():
            found = self._detect([grays[index] for index in members], mask)
            for index, features in zip(members, found, strict=True):
                result[index] = features
        return result

    def heatmap(self, image: np.ndarray) -> np.ndarray:
        """Return the probability of a keypoint at each pixel of an image, (H, W), float32."""
        gray = _to_gray(image)
        height, width = gray.shape
        with torch.inference_mode():
            logits = self.engine.infer(_pad([gray])).logits
            return heatmap_from_logits(logits)[0, :height, :width].cpu().numpy()

    def warm_up(self, size: tuple[int, int] = (640, 480)) -> None:
        """Run the network once on a blank image of (width, height): later calls are fast."""
        self(np.zeros((size[1], size[0]), np.uint8))

    @torch.inference_mode()
    def _detect(self, grays: list[np.ndarray], mask: np.ndarray | None) -> list[Features]:
        """Return the features of gray images of one size."""
        settings = self.settings
        height, width = grays[0].shape
        allowed = self._mask_tensor(mask, (height, width))
        output = self.engine.infer(_pad(grays))
        heatmap = heatmap_from_logits(output.logits)[:, :height, :width]
        result = []
        found = detect_keypoints(heatmap, settings, allowed)
        for descriptors, (keypoints, scores) in zip(output.descriptors, found, strict=True):
            sampled = sample_descriptors(descriptors, keypoints)
            result.append(
                Features(keypoints.cpu().numpy(), scores.cpu().numpy(), sampled.cpu().numpy())
            )
        return result

    def _mask_tensor(self, mask: np.ndarray | None, shape: tuple[int, int]) -> torch.Tensor | None:
        """Return the mask as a tensor on the device; raise ValueError where it does not fit."""
        if mask is None:
            return None
        mask = np.asarray(mask)
        if mask.shape != shape:
            raise ValueError(
                f'the mask must have the size of the image, {shape[1]}x{shape[0]}; its shape is '
                f'{mask.shape}'
            )
        return torch.from_numpy(np.ascontiguousarray(mask != 0)).to(self.engine.device)


def _make_settings(settings: dict) -> DetectionSettings:
    """Return the settings; raise TypeError that names one that does not exist."""
    defaults = DetectionSettings()
    unknown = sorted(set(settings) - set(vars(defaults)))
    if unknown:
        raise TypeError(
            f'unknown setting {", ".join(unknown)}: there are {", ".join(vars(defaults))}'
        )
    return replace(defaults, **settings)


def _to_gray(image: np.ndarray) -> np.ndarray:
    """Return the image as gray uint8 (H, W); raise ValueError where it is no such image."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or not (
        image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))
    ):
        raise ValueError(
            'an image must be uint8 of shape (H, W), gray, or (H, W, 3), BGR; got '
            f'{image.dtype} of shape {image.shape}'
        )
    if min(image.shape[:2]) < SMALLEST_SIDE:
        raise ValueError(
            f'an image must have at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels; got '
            f'{image.shape[1]}x{image.shape[0]}'
        )
    if image.ndim == 2:
        return image
    return image[:, :, 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _pad(grays: list[np.ndarray]) -> torch.Tensor:
    """Return images of one size as (B, 1, H, W), H and W the next multiples of 8."""
    height, width = grays[0].shape
    bottom, right = -height % CELL, -width % CELL
    if bottom or right:
        grays = [
            cv2.copyMakeBorder(gray, 0, bottom, 0, right, cv2.BORDER_REPLICATE) for gray in grays
        ]
    return torch.from_numpy(np.stack(grays))[:, None]
