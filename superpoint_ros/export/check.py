# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Whether a file that was exported finds what the Detector finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from superpoint_ros.detector import Detector
from superpoint_ros.export.exporters import INPUTS, OUTPUTS
from superpoint_ros.export.graph import GraphOutput
from superpoint_ros.features import Features

SAME_PLACE = 0.01
"""Pixels within which two keypoints are the same one."""

Run = Callable[[np.ndarray, float], GraphOutput]
"""Images (B, 1, H, W) and a threshold -> the graph's outputs as arrays."""


@dataclass
class Agreement:
    """
    Count, over some images, what two detectors have in common.

    `keypoints` are those of both together, each counted once, `shared` those which both have.
    `score` and `descriptor` are the largest differences of the shared ones.
    """

    images: int = 0
    keypoints: int = 0
    shared: int = 0
    score: float = 0.0
    descriptor: float = 0.0

    def add(self, one: Features, two: Features) -> None:
        """Compare the features of one image."""
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
        Return whether they are the same: all but five keypoints in a thousand, to 1e-3.

        Of two that are nearly equal, rounding decides which one is kept.
        """
        same = self.shared >= 0.995 * self.keypoints
        return same and self.score < 1e-3 and self.descriptor < 1e-3


def compare(run: Run, detector: Detector, images: Iterable[np.ndarray]) -> Agreement:
    """Return how an exported graph agrees with a detector on gray images, uint8 (H, W)."""
    agreement = Agreement()
    for image in images:
        output = run(image[None, None], detector.settings.threshold)
        agreement.add(detector(image), features_of(output))
    return agreement


def features_of(output: GraphOutput, index: int = 0) -> Features:
    """Return the features of one image of a graph's outputs."""
    valid = output.valid[index]
    return Features(
        output.keypoints[index][valid],
        output.scores[index][valid],
        output.descriptors[index][valid],
    )


def open_onnx(path: Path) -> Run:
    """Return a function that runs an ONNX file in ONNX Runtime, which must be there."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    as_float = session.get_inputs()[0].type == 'tensor(float)'

    def run(images: np.ndarray, threshold: float) -> GraphOutput:
        values = images.astype(np.float32) / 255 if as_float else images
        given = (np.ascontiguousarray(values), np.array([threshold], np.float32))
        return GraphOutput(*session.run(list(OUTPUTS), dict(zip(INPUTS, given, strict=True))))

    return run


def open_torchscript(path: Path, as_float: bool = False, device: str = 'cpu') -> Run:
    """Return a function that runs a TorchScript file, with images from 0 to 1 if `as_float`."""
    module = torch.jit.load(str(path), map_location=device)

    @torch.inference_mode()
    def run(images: np.ndarray, threshold: float) -> GraphOutput:
        values = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        values = values.float() / 255 if as_float else values
        parts = module(values, torch.tensor([threshold], device=device))
        return GraphOutput(*(part.cpu().numpy() for part in parts))

    return run


def open_tensorrt(path: Path) -> Run:
    """
    Return a function that runs an engine that TensorRT made of an ONNX file, on CUDA.

    Raises ModuleNotFoundError without TensorRT, and ValueError where it cannot read the file:
    engines are for one version of TensorRT and one kind of GPU.
    """
    import tensorrt

    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise ValueError(
            f'{path} is no engine for TensorRT {tensorrt.__version__} on this GPU: make it here'
        )
    context = engine.create_execution_context()
    as_float = engine.get_tensor_dtype(INPUTS[0]) == tensorrt.float32

    def run(images: np.ndarray, threshold: float) -> GraphOutput:
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
        return GraphOutput(**{name: tensor.cpu().numpy() for name, tensor in found.items()})

    # What made the engine has to live as long.
    run.runtime = runtime
    return run
