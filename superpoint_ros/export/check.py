# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Comparison of exported files with the Detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
import io
from pathlib import Path

import numpy as np
import torch

from superpoint_ros.detection.pipeline import PaddedFeatures
from superpoint_ros.detector import Detector
from superpoint_ros.export.exporters import INPUTS, OUTPUTS
from superpoint_ros.features import Features

SAME_PLACE = 0.05
"""
Distance in pixels, in x and in y, up to which two keypoints are the same.

Rounding moves one of 300 keypoints by more than 0.01 px, those with the weakest responses.
"""

Run = Callable[[np.ndarray, float], PaddedFeatures]
"""Function from images (B, 1, H, W), uint8, and a threshold to a graph's outputs as arrays."""


@dataclass
class Agreement:
    """
    Agreement of two detectors, summed over images.

    Attributes:
        images: number of images.
        keypoints: number of keypoints of both detectors, shared ones counted once.
        shared: number of keypoints that both detectors found.
        score: largest difference between the scores of shared keypoints.
        descriptor: largest difference between components of their descriptors.

    """

    images: int = 0
    keypoints: int = 0
    shared: int = 0
    score: float = 0.0
    descriptor: float = 0.0

    def add(self, one: Features, two: Features) -> None:
        """Add the features that two detectors found in one image."""
        distance = np.abs(one.keypoints[:, None] - two.keypoints[None]).max(axis=2)
        i, j = np.nonzero(distance <= SAME_PLACE)
        self.images += 1
        self.shared += len(i)
        self.keypoints += len(one) + len(two) - len(i)
        if len(i):
            score = np.abs(one.scores[i] - two.scores[j]).max()
            descriptor = np.abs(one.descriptors[i] - two.descriptors[j]).max()
            self.score = max(self.score, float(score))
            self.descriptor = max(self.descriptor, float(descriptor))

    @property
    def holds(self) -> bool:
        """
        Return whether 99.5 % of the keypoints are shared.

        Scores must differ by less than 0.001, components of descriptors by less than 0.002. If two
        scores are nearly equal, rounding decides which keypoint is kept.
        """
        same = self.shared >= 0.995 * self.keypoints
        return same and self.score < 1e-3 and self.descriptor < 2e-3


def compare(run: Run, detector: Detector, images: Iterable[np.ndarray]) -> Agreement:
    """Return the agreement of an exported graph with a detector on gray images, uint8 (H, W)."""
    agreement = Agreement()
    for image in images:
        output = run(image[None, None], detector.settings.threshold)
        agreement.add(detector(image), features_of(output))
    return agreement


def features_of(output: PaddedFeatures, index: int = 0) -> Features:
    """Return the features of one image from the outputs of a graph."""
    valid = output.valid[index]
    return Features(
        output.keypoints[index][valid],
        output.scores[index][valid],
        output.descriptors[index][valid],
    )


def open_onnx(path: Path) -> Run:
    """Return a function that runs an ONNX file; raise ModuleNotFoundError without onnxruntime."""
    import onnxruntime

    from superpoint_ros.engines.onnxruntime_engine import PROVIDER, session_options

    session = onnxruntime.InferenceSession(
        path.read_bytes(), session_options(0), providers=[PROVIDER]
    )
    as_float = session.get_inputs()[0].type == 'tensor(float)'

    def run(images: np.ndarray, threshold: float) -> PaddedFeatures:
        values = images.astype(np.float32) / 255 if as_float else images
        given = (np.ascontiguousarray(values), np.array([threshold], np.float32))
        return PaddedFeatures(*session.run(list(OUTPUTS), dict(zip(INPUTS, given, strict=True))))

    return run


def open_torchscript(path: Path, as_float: bool = False, device: str = 'cpu') -> Run:
    """Return a function that runs a TorchScript file; with `as_float`, one for images 0 to 1."""
    module = torch.jit.load(io.BytesIO(path.read_bytes()), map_location=device)

    @torch.inference_mode()
    def run(images: np.ndarray, threshold: float) -> PaddedFeatures:
        values = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        values = values.float() / 255 if as_float else values
        parts = module(values, torch.tensor([threshold], device=device))
        return PaddedFeatures(*(part.cpu().numpy() for part in parts))

    return run


def open_tensorrt(path: Path) -> Run:
    """
    Return a function that runs a TensorRT engine, built from an ONNX file, on CUDA.

    Raises ModuleNotFoundError without TensorRT, and ValueError if it cannot read the file: an
    engine works with one version of TensorRT on one type of GPU.
    """
    import tensorrt

    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise ValueError(
            f'{path} is not an engine for TensorRT {tensorrt.__version__} on this GPU: build it '
            'on this machine'
        )
    context = engine.create_execution_context()
    as_float = engine.get_tensor_dtype(INPUTS[0]) == tensorrt.float32

    def run(images: np.ndarray, threshold: float) -> PaddedFeatures:
        values = images.astype(np.float32) / 255 if as_float else np.ascontiguousarray(images)
        given = (torch.from_numpy(values).cuda(), torch.tensor([threshold], device='cuda'))
        for name, tensor in zip(INPUTS, given, strict=True):
            context.set_input_shape(name, tuple(tensor.shape))
            context.set_tensor_address(name, tensor.data_ptr())
        found = {}
        for name in OUTPUTS:
            kind = torch.bool if name == 'valid' else torch.float32
            shape = tuple(context.get_tensor_shape(name))
            found[name] = torch.empty(shape, dtype=kind, device='cuda')
            context.set_tensor_address(name, found[name].data_ptr())
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        return PaddedFeatures(**{name: tensor.cpu().numpy() for name, tensor in found.items()})

    # The runtime must exist as long as the engine.
    run.runtime = runtime
    return run
