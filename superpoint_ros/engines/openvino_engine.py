# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network in OpenVINO, the fastest engine on x86 CPUs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
import math
import os
import re
import threading
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

from superpoint_ros.engines.conversion import as_array, like_images
from superpoint_ros.model.config import CELL, FINE_CELL, SuperPointOutput

if TYPE_CHECKING:
    import torch

SHAPES = 4
"""Number of batch shapes that have a network compiled for them, which is a tenth faster than one
for all shapes."""

PATIENCE = 30
"""Number of consecutive batches of another shape after which a network is compiled for it, which
replaces the least recently used one."""

_CELLS = CELL, CELL, FINE_CELL  # of the parts of the output

PRECISIONS = ('float32', 'bfloat16', 'int8')

_LARGEST_INSTRUCTIONS = ('ONEDNN_MAX_CPU_ISA', 'DNNL_MAX_CPU_ISA')
"""Environment variables that limit the instruction sets that OpenVINO uses."""
_WITHOUT_BFLOAT16 = re.compile(r'=(SSE|AVX(?!512|10))', re.IGNORECASE)

KERNELS = '128'
"""Number of compiled operations that OpenVINO caches for recurring shapes, about half a dozen."""


@cache
def openvino_core() -> ov.Core:
    """
    Return the only OpenVINO core of this process, which is never destroyed.

    Its CPU plugin installs a signal stack for the thread that creates it, and frees that stack
    when the last core is destroyed, even from another thread; the next signal then crashes the
    process. That happened to a node that got SIGTERM after a thread had replaced its first
    network.
    """
    return ov.Core()


def openvino_has_bfloat16() -> bool:
    """Return whether OpenVINO supports bfloat16 on this processor, and the user allows it."""
    capabilities = openvino_core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
    return 'BF16' in capabilities and not _bfloat16_forbidden()


def _bfloat16_forbidden() -> str:
    """Return the environment variable that forbids bfloat16, which OpenVINO does not report."""
    settings = [f'{name}={os.environ.get(name, "")}' for name in _LARGEST_INSTRUCTIONS]
    return next(filter(_WITHOUT_BFLOAT16.search, settings), '')


class OpenVinoEngine:
    """
    A network in OpenVINO on the CPU.

    `network` is made by `NetworkGraph` or, for the precision 'int8', by `int8.quantise`;
    `fine_projection` is the layer that it leaves out, see `NetworkGraph`, None if there is none.
    `precision` is 'float32', 'bfloat16' or 'int8', `threads` the number of CPU threads, 0 for one
    per core. The network is compiled for the first `SHAPES` batch shapes, which takes a fraction
    of a second each, and later for shapes that recur. Other shapes share one network.
    """

    name = 'openvino'

    def __init__(
        self,
        network: ov.Model,
        precision: str = 'float32',
        threads: int = 0,
        fine_projection: np.ndarray | None = None,
    ):
        if precision not in PRECISIONS:
            raise ValueError(
                f'the precision in OpenVINO must be {", ".join(PRECISIONS)}, got {precision!r}'
            )
        if precision == 'bfloat16' and _bfloat16_forbidden():
            raise ValueError(
                f'{_bfloat16_forbidden()} forbids bfloat16: take float32 or int8, or another value'
            )
        self.device = 'cpu'
        self.precision = precision
        self._channels = [output.partial_shape[1].get_length() for output in network.outputs]
        # In int8 this applies to the layers that are not quantised.
        short = precision == 'bfloat16' or (precision == 'int8' and openvino_has_bfloat16())
        self._settings = {
            'INFERENCE_PRECISION_HINT': 'bf16' if short else 'f32',
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': threads,
            # With the default, memory grows by a megabyte with each new shape.
            'CPU_RUNTIME_CACHE_CAPACITY': KERNELS,
        }
        self._network = _channels_last(network)
        self._fine_projection = fine_projection
        self._inherited: list[object] = []
        self._begin()

    def _begin(self) -> None:
        """Start without compiled networks."""
        self._process = os.getpid()
        self._turn = threading.Lock()
        self._own: OrderedDict[tuple[int, ...], _CompiledNetwork] = OrderedDict()
        self._for_all: _CompiledNetwork | None = None
        self._last, self._in_row = (0,), 0

    def infer(self, images: np.ndarray | torch.Tensor) -> SuperPointOutput:
        """
        Return the output, float32, for uint8 images (B, 1, H, W), see `Engine.infer`.

        It is in channels-last memory format. For arrays, the last layer of the fine descriptors is
        left to the detection (`SuperPointOutput.fine_projection`).
        """
        if self._process != os.getpid():
            # A fork has none of the threads of the compiled networks. If these were released,
            # OpenVINO would use their threads for the next ones, and wait for them forever.
            self._inherited.append((self._own, self._for_all))
            self._settings['INFERENCE_NUM_THREADS'] = 1
            self._begin()
        count, _, height, width = images.shape
        shapes = [
            (count, height // cell, width // cell, size)
            for cell, size in zip(_CELLS, self._channels, strict=False)
        ]
        outputs = self._for_shape(tuple(images.shape)).infer(as_array(images), shapes)
        projection = self._fine_projection
        if projection is None:
            return like_images(images, outputs)
        if isinstance(images, np.ndarray):
            return like_images(images, outputs)._replace(fine_projection=projection)
        logits, descriptors, hidden = outputs
        return like_images(
            images, [logits, descriptors, hidden @ projection[:-1] + projection[-1]]
        )

    def _for_shape(self, shape: tuple[int, ...]) -> _CompiledNetwork:
        """Return the network compiled for a batch shape, or the one for all shapes."""
        with self._turn:
            self._in_row = self._in_row + 1 if shape == self._last else 1
            self._last = shape
            if shape in self._own:
                self._own.move_to_end(shape)
            elif len(self._own) < SHAPES or self._in_row >= PATIENCE:
                network = self._network.clone()
                network.reshape(list(shape))
                self._own[shape] = self._compile(network)
                if len(self._own) > SHAPES:
                    self._own.popitem(last=False)
            else:
                self._for_all = self._for_all or self._compile(self._network)
                return self._for_all
            return self._own[shape]

    def _compile(self, network: ov.Model) -> _CompiledNetwork:
        return _CompiledNetwork(openvino_core().compile_model(network, 'CPU', self._settings))


class _CompiledNetwork:
    """
    A compiled network, with inference requests and output buffers that are used again.

    The system provides new memory page by page, which takes 2 ms for a frame of 640x480: a tenth
    of the compact network's time in int8.
    """

    def __init__(self, network: ov.CompiledModel):
        self._network = network
        # One attribute, so that other threads see shapes and requests change together.
        self._free: tuple[list[tuple[int, ...]], list[tuple[ov.InferRequest, np.ndarray]]]
        self._free = [], []

    def infer(self, images: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        """Return the outputs, of these shapes; their memory is not reused while they exist."""
        of_shapes, free = self._free
        if of_shapes != shapes:
            free = []
            self._free = shapes, free
        try:
            request, memory = free.pop()
        except IndexError:  # the first call, or other threads use all of them
            request, memory = self._make_request(shapes)
        request.set_input_tensor(ov.Tensor(images, shared_memory=True))
        # Without this, OpenVINO also returns copies of the outputs.
        request.infer(share_outputs=True)
        lent = np.asarray(_Loan(memory, lambda: free.append((request, memory))))
        return _split(lent, shapes)

    def _make_request(self, shapes: list[tuple[int, ...]]) -> tuple[ov.InferRequest, np.ndarray]:
        """Return a request and the memory that holds its outputs, one after the other."""
        memory = np.empty(sum(math.prod(shape) for shape in shapes), np.float32)
        request = self._network.create_infer_request()
        for index, output in enumerate(_split(memory, shapes)):
            request.set_output_tensor(index, ov.Tensor(output, shared_memory=True))
        return request, memory


class _Loan:
    """Memory for NumPy arrays; a callback runs when the last array that uses it is deleted."""

    def __init__(self, memory: np.ndarray, give_back: Callable[[], None]):
        self.__array_interface__ = memory.__array_interface__
        self._give_back = give_back

    def __del__(self):
        self._give_back()


def _split(memory: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Return arrays of these shapes that use memory (N,) one after the other."""
    parts, begin = [], 0
    for shape in shapes:
        end = begin + math.prod(shape)
        parts.append(memory[begin:end].reshape(shape))
        begin = end
    return parts


def _channels_last(network: ov.Model) -> ov.Model:
    """Return the network with outputs (B, h, w, C), which OpenVINO and the detection use."""
    steps = PrePostProcessor(network)
    for index in range(len(network.outputs)):
        steps.output(index).model().set_layout(ov.Layout('NCHW'))
        steps.output(index).tensor().set_layout(ov.Layout('NHWC'))
    return steps.build()
