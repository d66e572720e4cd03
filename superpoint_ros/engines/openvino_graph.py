# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Networks as OpenVINO models, operation by operation."""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor

from superpoint_ros.model.config import Layer
from superpoint_ros.model.network_arrays import NetworkArrays


class NetworkGraph:
    """
    The operations of a network in OpenVINO, under the names of its layers.

    They are created one by one: OpenVINO's converter traces the network, and PyTorch never frees
    what it has traced. A subclass may change layers.

    The last layer of the fine descriptors is left out if it is linear: it takes a tenth of the
    compact network's time for all pixels, and far less at keypoints alone.
    """

    def __init__(self, network: NetworkArrays):
        self.network = network.prepare_for_inference()
        self.outputs: dict[str, ov.Node] = {}
        """Output of each layer of the encoder and the heads, after its ReLU."""
        self._activations: dict[tuple[str, bool], ov.Node] = {}

    def model(self) -> ov.Model:
        """Return the model, for uint8 images (B, 1, H, W) of any size."""
        image = ops.parameter([-1, 1, -1, -1], np.float32, name='image')
        image.output(0).tensor.names = {'image'}
        self._activations['image', False] = self.network_input(image)
        for name, layer in self.network.config.layers.items():
            x = self.activations(layer.source, layer.pooled)
            self.outputs[name] = self.layer(name, layer, x)
        names = self.network.config.outputs
        if self.network.fine_projection is not None:
            names = names | {'fine': 'convFa'}
        outputs = [self.outputs[name] for name in names.values()]
        steps = PrePostProcessor(ov.Model(outputs, [image], 'superpoint'))
        steps.input().tensor().set_element_type(ov.Type.u8)
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
        return steps.build()

    def network_input(self, image: ov.Node) -> ov.Node:
        """Return the input of the first layer for images (B, 1, H, W) from 0 to 1."""
        return image

    def layer(self, name: str, layer: Layer, x: ov.Node) -> ov.Node:
        """Return the operations of a layer on x."""
        arrays = self.network.arrays
        strides, pads = [layer.stride] * 2, [layer.kernel_size // 2] * 2
        x = ops.convolution(x, self.weights(name), strides, pads, pads, [1, 1], name=name)
        x = ops.add(x, _per_channel(arrays[f'{name}.bias']), name=f'{name}/bias')
        if layer.relu:
            x = ops.relu(x)
        if self.network.config.normalization == 'after_relu':
            parts = ('weight', 'bias', 'running_mean', 'running_var')
            norm = name.replace('conv', 'bn')
            weight, bias, mean, variance = (arrays[f'{norm}.{part}'] for part in parts)
            factor = weight / np.sqrt(variance + np.float32(self.network.config.normalization_eps))
            x = ops.multiply(x, _per_channel(factor))
            x = ops.add(x, _per_channel(bias - mean * factor), name=norm)
        return x

    def weights(self, name: str) -> ov.Node:
        """Return the weights of a convolution."""
        return ops.constant(self.network.arrays[f'{name}.weight'])

    def activations(self, name: str, pooled: bool) -> ov.Node:
        """Return the output of a layer as others take it, which share its operations."""
        key = name, pooled
        if key not in self._activations:
            self._activations[key] = self.make_activations(name, pooled)
        return self._activations[key]

    def make_activations(self, name: str, pooled: bool) -> ov.Node:
        """Return the output of a layer as others take it, after pooling if they want that."""
        return pool(self.activations(name, False)) if pooled else self.outputs[name]


def pool(x: ov.Node) -> ov.Node:
    """Return the maxima of x in squares of 2x2."""
    return ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)


def _per_channel(values: np.ndarray) -> ov.Node:
    """Return values (C,) as a constant (1, C, 1, 1)."""
    return ops.constant(values.reshape(1, -1, 1, 1))
