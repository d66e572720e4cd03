# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Networks in int8: post-training quantisation, with activation ranges from a weight file.

Weights are rounded to int8 with one scale for each output channel. The outputs of the layers are
rounded to 256 levels between the ends of a range, which `calibrate` measures on photographs
(`superpoint train` and `superpoint quantise`); weight files hold the ranges. The operations are
those that OpenVINO's plug-in for CPUs replaces with int8 ones: FakeQuantize, and weights as int8
constants with a scale.
Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.engines.openvino_engine import openvino_core, openvino_has_bfloat16
from superpoint_ros.engines.openvino_graph import NetworkGraph, pool
from superpoint_ros.model.config import CELL
from superpoint_ros.model.network_arrays import ActivationRanges, NetworkArrays
from superpoint_ros.model.weights import read_weights, save_weights
from superpoint_ros.resources import demo_photographs

CALIBRATION_IMAGES = 100
"""Number of calibration images; ranges hardly change with more."""

CALIBRATION_SIDE = 480
"""Longest side in pixels of calibration images; larger ones are reduced."""

LEVELS = 256
"""Number of values of an output in int8, and of a pixel: images are represented exactly."""

LARGEST_WEIGHT = 127
"""Largest magnitude of a weight in int8; symmetric, so that zero is exact."""

NARROW = 32
"""Layers with fewer channels are pooled before they are quantised."""


def quantise(network: NetworkArrays) -> ov.Model:
    """
    Return the network in int8, with its ranges or those of the shipped photographs.

    Raises ValueError if it has batch norms that cannot be folded: the lowest output is not zero.
    """
    if network.ranges is None:
        images = [read_image(path) for path in demo_photographs()]
        network = replace(network, ranges=calibrate(network, images))
    return _QuantisedGraph(network).model()


class _QuantisedGraph(NetworkGraph):
    """The operations of a network in int8."""

    def network_input(self, image: ov.Node) -> ov.Node:
        # All gray levels, exactly: calibrated ranges end below the brightest pixels.
        return _round(image, 0.0, 1.0)

    def weights(self, name: str) -> ov.Node:
        if name not in self.network.config.hidden:
            return super().weights(name)
        weights = self.network.arrays[f'{name}.weight']
        scale = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / np.float32(LARGEST_WEIGHT)
        scale[scale == 0] = 1  # of a channel without weights
        rounded = ops.constant(np.rint(weights / scale).astype(np.int8))
        return ops.multiply(ops.convert(rounded, np.float32), ops.constant(scale))

    def make_activations(self, name: str, pooled: bool) -> ov.Node:
        # The last layers of the heads are computed in bfloat16 or float32. They are a few per cent
        # of the operations, and the quality of int8 stays that of float32 (test_same_answers).
        layers = self.network.config.layers.values()
        if any(layer.source == name and not layer.relu for layer in layers):
            return super().make_activations(name, pooled)
        low, high = self.network.ranges[name]
        narrow = len(self.network.arrays[f'{name}.bias']) < NARROW
        if pooled and narrow and openvino_has_bfloat16():
            # OpenVINO pools int8 in blocks of 32 channels; with fewer it takes several times as
            # long as in bfloat16. The result is the same except for rounding to bfloat16.
            return _round(pool(self.outputs[name]), low, high)
        if pooled:
            return super().make_activations(name, pooled)
        return _round(self.outputs[name], low, high)


def _round(x: ov.Node, low: float, high: float) -> ov.Node:
    """Return x rounded to `LEVELS` values from `low` to `high`."""
    ends = [ops.constant(np.float32(end)) for end in (low, high, low, high)]
    return ops.fake_quantize(x, *ends, LEVELS)


def calibrate(network: NetworkArrays, images: Iterable[np.ndarray]) -> ActivationRanges:
    """
    Return the activation ranges of a network on gray images, uint8 (H, W).

    The ends are the means over the images of the lowest and the highest output of a layer in an
    image: single outliers would make the steps between the levels larger. Raises ValueError if
    there is no image.
    """
    graph = NetworkGraph(network)
    model = graph.model()
    axes = ops.constant(np.arange(4))
    ends = [
        reduce(graph.outputs[name], axes)
        for name in network.config.hidden
        for reduce in (ops.reduce_min, ops.reduce_max)
    ]
    settings = {'INFERENCE_PRECISION_HINT': 'f32'}
    compiled = openvino_core().compile_model(
        ov.Model(ends, model.get_parameters(), 'ranges'), 'CPU', settings
    )
    found = [[float(end) for end in compiled(_batch(image)).values()] for image in images]
    if not found:
        raise ValueError('calibration needs at least one image')
    means = np.mean(found, axis=0).reshape(-1, 2)
    # A layer whose output is the same everywhere still needs a range.
    return {
        name: (float(low), float(max(high, low + 1e-6)))
        for name, (low, high) in zip(network.config.hidden, means, strict=True)
    }


def store_ranges(weights: Path, out: Path, images: Iterable[np.ndarray]) -> None:
    """
    Write a weight file with the activation ranges of its network on gray images, uint8 (H, W).

    `out` may be the weight file itself. The tensors do not change. Raises ValueError if there is
    no image, and the errors of `read_weights` and `save_weights`.
    """
    network, metadata = read_weights(weights)
    save_weights(out, replace(network, ranges=calibrate(network, images)), metadata)


def _batch(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W), resized to multiples of 8 pixels, as (1, 1, H, W)."""
    scale = min(1.0, CALIBRATION_SIDE / max(image.shape))
    size = [max(round(side * scale) // CELL, 2) * CELL for side in image.shape]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)[None, None]
