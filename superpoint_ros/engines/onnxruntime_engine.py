# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The network in ONNX Runtime, for processors without OpenVINO and for its execution providers.

Providers run the graph on other hardware: CUDA and TensorRT without PyTorch's CUDA libraries, or
the libraries of ARM boards. The output is always copied to the CPU, where the detection follows.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnxruntime

from superpoint_ros.detection.threads import core_count
from superpoint_ros.engines.conversion import as_array, like_images
from superpoint_ros.model.config import Layer, SuperPointOutput
from superpoint_ros.model.network_arrays import NetworkArrays

if TYPE_CHECKING:
    import torch

PROVIDER = 'CPUExecutionProvider'
"""Execution provider that every build of ONNX Runtime has."""

OPSET, IR_VERSION = 17, 8
"""Versions of the ONNX format, those of onnx 1.13: ONNX Runtime 1.14 and later read them."""


class OnnxRuntimeEngine:
    """
    A network in ONNX Runtime, in float32, with output on the CPU.

    `network` is made by `convert`. `providers` are execution providers in order of preference,
    separated by commas; '' is `PROVIDER`, which also runs what the others cannot. `threads` is the
    number of CPU threads, 0 for one per core. Raises ValueError for a provider that this build of
    ONNX Runtime does not have or that does not work on this machine.
    """

    name = 'onnxruntime'
    precision = 'float32'

    def __init__(self, network: onnx.ModelProto, providers: str = '', threads: int = 0):
        self.device = 'cpu'
        names = [name.strip() for name in providers.split(',') if name.strip()] or [PROVIDER]
        known = onnxruntime.get_available_providers()
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(
                f'providers has {", ".join(unknown)}, which this build of ONNX Runtime does not '
                f'have: choose from {", ".join(known)}'
            )
        self._network, self._providers = network.SerializeToString(), names
        self._inherited: list[onnxruntime.InferenceSession] = []
        self._begin(threads)
        # ONNX Runtime only prints a warning if the libraries of a provider are missing.
        missing = [name for name in names if name not in self._session.get_providers()]
        if missing:
            raise ValueError(
                f'{", ".join(missing)} of ONNX Runtime does not work here: its libraries or its '
                f'hardware are missing; take other providers, such as {PROVIDER}'
            )

    @property
    def providers(self) -> tuple[str, ...]:
        """Return the names of the execution providers, in order of preference."""
        return tuple(self._session.get_providers())

    def _begin(self, threads: int) -> None:
        """Make the session."""
        self._process = os.getpid()
        self._session = onnxruntime.InferenceSession(
            self._network, session_options(threads), providers=self._providers
        )

    def infer(self, images: np.ndarray | torch.Tensor) -> SuperPointOutput:
        """
        Return the output, float32, for uint8 images (B, 1, H, W), see `Engine.infer`.

        It is in channels-last memory format.
        """
        if self._process != os.getpid():
            # A fork has none of the session's threads, for which its destructor would wait, too.
            self._inherited.append(self._session)
            self._begin(threads=1)
        outputs = self._session.run(None, {'image': as_array(images)})
        return like_images(images, outputs)


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return the options of a session with this number of CPU threads, 0 for one per core."""
    options = onnxruntime.SessionOptions()
    if not threads and core_count() < (os.cpu_count() or 1):
        # By default ONNX Runtime binds a thread to each core of the machine, and prints an error
        # for each that this process may not use, as in a container with some of the cores.
        threads = core_count()
    options.intra_op_num_threads = threads
    # Threads that wait in a loop would take processor time from the detection that follows.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    return options


def convert(network: NetworkArrays) -> onnx.ModelProto:
    """
    Return the network as an ONNX model, for uint8 images (B, 1, H, W) of any size.

    Its outputs are the parts of `SuperPointOutput` in shape (B, h, w, C). Its operations have the
    names of the network's layers. They are created one by one, which takes milliseconds; PyTorch's
    exporter, which `export.exporters` uses for the whole detector, takes seconds for each network.
    """
    graph = _Graph(network.prepare_for_inference())
    graph.constant('white', np.float32(255))
    gray = graph.add('Cast', ['image'], 'gray', to=TensorProto.FLOAT)
    outputs = {'image': graph.add('Div', [gray, 'white'], 'scaled')}
    for name, layer in graph.layers.items():
        outputs[name] = graph.layer(name, layer, outputs[layer.source])
    for part, name in network.config.outputs.items():
        graph.add('Transpose', [outputs[name]], part, perm=[0, 2, 3, 1])
    return graph.model()


class _Graph:
    """An ONNX graph of a network; values are referred to by their names."""

    def __init__(self, network: NetworkArrays):
        self._network = network
        self.layers = network.config.layers
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add a constant, float32, and return its name."""
        self._constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        """Add an operation with one output, and return the name of both."""
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def layer(self, name: str, layer: Layer, x: str) -> str:
        """
        Add the operations of a layer on x, the output of its source.

        Return the name of the last one.
        """
        if layer.pooled:
            pool = layer.source.replace('conv', 'pool')
            x = self.add('MaxPool', [x], pool, kernel_shape=[2, 2], strides=[2, 2])
        weights = self._constants_of(name, _WEIGHTS)
        pads, strides = [layer.kernel_size // 2] * 4, [layer.stride] * 2
        x = self.add('Conv', [x, *weights], name, pads=pads, strides=strides)
        if layer.relu:
            x = self.add('Relu', [x], name.replace('conv', 'relu'))
        if self._network.config.normalization == 'after_relu':
            norm = name.replace('conv', 'bn')
            values = self._constants_of(norm, _STATISTICS)
            epsilon = self._network.config.normalization_eps
            x = self.add('BatchNormalization', [x, *values], norm, epsilon=epsilon)
        return x

    def _constants_of(self, layer: str, parts: Sequence[str]) -> list[str]:
        """Add the arrays of a layer and return their names."""
        names = [f'{layer}.{part}' for part in parts]
        return [self.constant(name, self._network.arrays[name]) for name in names]

    def model(self) -> onnx.ModelProto:
        """Return the graph as a model with the input `image` and the parts of the output."""
        config = self._network.config
        image = helper.make_tensor_value_info('image', TensorProto.UINT8, ['b', 1, 'h', 'w'])
        outputs = [
            helper.make_tensor_value_info(
                part,
                TensorProto.FLOAT,
                ['b', f'h_{part}', f'w_{part}', config.layers[name].channels],
            )
            for part, name in config.outputs.items()
        ]
        graph = helper.make_graph(self._nodes, 'superpoint', [image], outputs, self._constants)
        opset = helper.make_opsetid('', OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


_WEIGHTS = ('weight', 'bias')
_STATISTICS = ('weight', 'bias', 'running_mean', 'running_var')
