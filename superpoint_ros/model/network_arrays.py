# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A network as a configuration and NumPy arrays: what a weight file holds and engines are built from.

This module does not need PyTorch, whose import takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np

from superpoint_ros.model.config import SuperPointConfig

if TYPE_CHECKING:
    from superpoint_ros.model.superpoint import SuperPoint

ActivationRanges = dict[str, tuple[float, float]]
"""Lowest and highest output of each hidden layer, after its ReLU, for quantisation."""


class WeightsError(ValueError):
    """Error of a weight file that cannot be used."""


@dataclass(frozen=True, eq=False)
class NetworkArrays:
    """
    A network as a configuration and float32 arrays under the names of its layers.

    `ranges` are those of the activations, None if they were not calibrated
    (`engines.int8.calibrate`).
    """

    config: SuperPointConfig
    arrays: dict[str, np.ndarray]
    ranges: ActivationRanges | None = None

    @classmethod
    def of(cls, network: SuperPoint | NetworkArrays) -> NetworkArrays:
        """Return the arrays of a PyTorch network, which may share its memory."""
        if isinstance(network, cls):
            return network
        arrays = {
            name: value.detach().cpu().float().contiguous().numpy()
            for name, value in network.state_dict().items()
            if not name.endswith('num_batches_tracked')
        }
        return cls(network.config, arrays)

    def check(self, path: Path) -> None:
        """Raise WeightsError, which names the file, if arrays do not fit the configuration."""
        expected = _shapes(self.config)
        problems = [f'{name} is missing' for name in expected if name not in self.arrays]
        problems += [f'{name} is unknown' for name in self.arrays if name not in expected]
        for name, shape in expected.items():
            array = self.arrays.get(name)
            if array is not None and array.shape != shape:
                problems.append(f'{name} has shape {array.shape} instead of {shape}')
            elif array is not None and not np.isfinite(array).all():
                problems.append(f'{name} is not finite')
        if problems:
            more = f' and {len(problems) - 4} more' if len(problems) > 4 else ''
            text = '; '.join(problems[:4])
            raise WeightsError(f'{path} does not fit the network: {text}{more}')

    def prepare_for_inference(self) -> NetworkArrays:
        """
        Return the network as engines run it: batch norms folded, dead channels removed.

        Batch norms after a ReLU cannot be folded; such a network is returned unchanged.
        """
        network = self
        if self.config.normalization == 'before_relu':
            network = self.fold_batch_norm()
        return network.remove_dead_channels()

    @property
    def fine_projection(self) -> np.ndarray | None:
        """Return the last layer of the fine descriptors as in `SuperPointOutput`, None if none."""
        if not self.config.fine_channels or self.config.normalization != 'none':
            return None
        weight, bias = self.arrays['convFb.weight'], self.arrays['convFb.bias']
        return np.ascontiguousarray(np.vstack([weight[:, :, 0, 0].T, bias]))

    def fold_batch_norm(self) -> NetworkArrays:
        """
        Return an equivalent network of plain convolutions, into which batch norms are folded.

        Raises ValueError for 'after_relu' networks: their batch norm shifts values after the ReLU
        but not the zero padding of the next convolution, so that no plain convolution is
        equivalent at the border of the image.
        """
        if self.config.normalization == 'after_relu':
            raise ValueError(
                'batch norm after ReLU cannot be folded exactly; run the network without folding '
                "(only normalization 'before_relu' can be folded)"
            )
        if self.config.normalization == 'none':
            return self
        result = {}
        for name in self.config.layers:
            norm = name.replace('conv', 'bn')
            weight, bias, factor, shift, mean, variance = (
                self.arrays[key].astype(np.float64)
                for key in (
                    *(f'{name}.{part}' for part in ('weight', 'bias')),
                    *(f'{norm}.{part}' for part in ('weight', 'bias')),
                    *(f'{norm}.{part}' for part in ('running_mean', 'running_var')),
                )
            )
            scale = factor / np.sqrt(variance + self.config.normalization_eps)
            weight = weight * scale[:, None, None, None]
            result[f'{name}.weight'] = weight.astype(np.float32)
            result[f'{name}.bias'] = ((bias - mean) * scale + shift).astype(np.float32)
        config = replace(self.config, normalization='none', normalization_eps=1e-5)
        return NetworkArrays(config, result, self.ranges)

    def remove_dead_channels(self) -> NetworkArrays:
        """
        Return the network without dead channels.

        A channel is dead if all its weights are zero and its bias is not positive: its output
        after the ReLU is always zero. In exact arithmetic the outputs do not change. All layers
        of a stage keep the width of the widest of them, and at least one channel. The network
        itself is returned if no channel can be removed or if it has batch norms.
        """
        if self.config.normalization != 'none':
            return self
        live = {name: self._live_channels(name) for name in self.config.hidden}
        narrow = replace(
            self.config,
            stage_channels=tuple(_widest(live, *names) for names in self.config.stages),
            head_channels=(_widest(live, 'convPa'), _widest(live, 'convDa')),
            fine_channels=_widest(live, 'convFa') if self.config.fine_channels else 0,
        )
        if narrow == self.config:
            return self
        kept = {
            name: self._kept_channels(name, live[name], narrow.layers[name].channels)
            for name in live
        }
        result = {}
        for name, layer in narrow.layers.items():
            outputs, inputs = (kept.get(each, slice(None)) for each in (name, layer.source))
            weight = self.arrays[f'{name}.weight'][outputs][:, inputs]
            result[f'{name}.weight'] = np.ascontiguousarray(weight)
            result[f'{name}.bias'] = self.arrays[f'{name}.bias'][outputs]
        return NetworkArrays(narrow, result, self.ranges)

    def _live_channels(self, name: str) -> np.ndarray:
        """Return the indices of the channels of a layer that are not dead."""
        weight, bias = self.arrays[f'{name}.weight'], self.arrays[f'{name}.bias']
        return np.flatnonzero((weight != 0).any(axis=(1, 2, 3)) | (bias > 0))

    def _kept_channels(self, name: str, live: np.ndarray, width: int) -> np.ndarray:
        """Return ascending indices of `width` channels: live ones, filled up with dead ones."""
        dead = np.setdiff1d(np.arange(len(self.arrays[f'{name}.bias'])), live)
        return np.sort(np.concatenate([live, dead[: width - len(live)]]))


def widths_of(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the fields of `SuperPointConfig` that follow from the shapes of a network's weights.

    `arrays` are those of NumPy or PyTorch, by name. Raises KeyError with the name of one that is
    missing, IndexError if one has no dimensions.
    """

    def width(layer: str) -> int:
        return arrays[f'{layer}.weight'].shape[0]

    return {
        'stage_channels': tuple(width(f'conv{stage}a') for stage in (1, 2, 3, 4)),
        'head_channels': tuple(width(f'conv{head}a') for head in 'PD'),
        'descriptor_size': width('convDb'),
        'fine_channels': width('convFa') if 'convFa.weight' in arrays else 0,
    }


def _shapes(config: SuperPointConfig) -> dict[str, tuple[int, ...]]:
    """Return the names of the arrays of a network, and their shapes."""
    layers = config.layers
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in layers.items():
        incoming = layers[layer.source].channels if layer.source in layers else 1
        shapes[f'{name}.weight'] = (layer.channels, incoming, *[layer.kernel_size] * 2)
        shapes[f'{name}.bias'] = (layer.channels,)
        if config.normalization != 'none':
            for part in ('weight', 'bias', 'running_mean', 'running_var'):
                shapes[f'{name.replace("conv", "bn")}.{part}'] = (layer.channels,)
    return shapes


def _widest(live: dict[str, np.ndarray], *names: str) -> int:
    """Return the number of channels that layers of one width need, at least one."""
    return max([1, *(len(live[name]) for name in names)])


def describe_contents(state: Any) -> str:
    """Return in words what a file has instead of the expected tensors."""
    if not isinstance(state, dict):
        return f'it has an object of type {type(state).__name__}'
    names = ', '.join(repr(str(name)) for name in list(state)[:3])
    more = f' and {len(state) - 3} more' if len(state) > 3 else ''
    return f'its entries are {names}{more}' if state else 'its state dictionary is empty'
