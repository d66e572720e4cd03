# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Weight files: reading and writing networks with metadata.

The project's own files are `.safetensors`: tensors of a folded network under the de-facto standard
names, with metadata and a checksum. Checkpoints of other projects (`.pth`, `.pt`) are read, too.
Nothing that is read can run code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.network_arrays import (
    ActivationRanges,
    describe_contents,
    NetworkArrays,
    WeightsError,
)

if TYPE_CHECKING:
    from superpoint_ros.model.superpoint import SuperPoint

FORMAT = 'superpoint_ros'
FORMAT_VERSION = '1'


@dataclass(frozen=True)
class WeightsMetadata:
    """
    Origin of weights, as free text.

    Attributes:
        recipe: how the weights were trained.
        data: training images and their licences.
        quality: measured quality.
        version: version of the weights.
        licence: licence of the weights.
        descriptors_trained: False for a detector alone (MagicPoint) with untrained descriptors.

    """

    recipe: str = ''
    data: str = ''
    quality: str = ''
    version: str = ''
    licence: str = 'Apache-2.0'
    descriptors_trained: bool = True


def save_weights(
    path: str | Path, network: SuperPoint | NetworkArrays, metadata: WeightsMetadata
) -> None:
    """
    Write the network, folded, to a `.safetensors` file.

    The file is written completely or not at all: after an error, such as a full disk (OSError), a
    previous file is unchanged. Networks with batch norm after ReLU cannot be folded and are
    written unfolded. Raises ValueError if a weight is not finite.
    """
    path = Path(path)
    if path.suffix != '.safetensors':
        raise ValueError(f'the name of a weight file must end in .safetensors, got {path.name!r}')
    network = NetworkArrays.of(network)
    if network.config.normalization == 'before_relu':
        network = network.fold_batch_norm()
    state = network.arrays
    broken = [name for name, value in state.items() if not np.isfinite(value).all()]
    if broken:
        raise ValueError(f'weights that are not finite were not saved: {", ".join(broken)}')
    texts = {name: str(value) for name, value in asdict(metadata).items()}
    texts['descriptors_trained'] = json.dumps(metadata.descriptors_trained)
    texts |= {'format': FORMAT, 'format_version': FORMAT_VERSION, 'sha256': _checksum(state)}
    texts['configuration'] = json.dumps(asdict(network.config))
    if network.ranges is not None:
        texts['activation_ranges'] = json.dumps(network.ranges)
    write_atomically(path, save(state, metadata=texts))


def _checksum(state: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of names and values of arrays."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(state[name]))
    return digest.hexdigest()


def load_weights(path: str | Path) -> tuple[SuperPoint, WeightsMetadata]:
    """
    Return the network in PyTorch, in evaluation mode, float32 and on the CPU, and its metadata.

    See `read_weights` for the files that are read, and for errors.
    """
    from superpoint_ros.model.superpoint import build_network

    network, metadata = read_weights(path)
    return build_network(network).requires_grad_(False), metadata


def read_weights(path: str | Path) -> tuple[NetworkArrays, WeightsMetadata]:
    """
    Return the network as arrays, and its metadata.

    Reads the project's own files, state dictionaries with the names of `superpoint_v1.pth`, and
    those of rpautrat's `superpoint_v6_from_tf.pth`, also with a prefix such as `module.` and in a
    checkpoint. PyTorch is imported only for the latter. Raises FileNotFoundError if there is no
    such file, WeightsError that names the file and what is wrong with it.
    """
    path = Path(path)
    if path.is_dir():
        raise WeightsError(f'{path} is a directory: give a weight file in it')
    if not path.is_file():
        raise FileNotFoundError(f'there is no weight file {path}')
    if path.suffix == '.safetensors':
        return _read_own(path)
    from superpoint_ros.model.pytorch_files import read_checkpoint_arrays

    metadata = WeightsMetadata(recipe=f'imported from {path.name}', licence='unknown')
    return read_checkpoint_arrays(path), metadata


def _read_own(path: Path) -> tuple[NetworkArrays, WeightsMetadata]:
    """Return the network and the metadata in a `.safetensors` file."""
    path.open('rb').close()  # safetensors reports a lack of permission as a missing file
    try:
        with safe_open(path, framework='np') as file:
            texts = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise WeightsError(
            f'{path} is not a complete .safetensors file; it may be truncated or damaged, '
            f'copy it again ({error})'
        ) from error
    if texts.get('format') != FORMAT:
        raise WeightsError(
            f'{path} has no SuperPoint weights of this package: its metadata name the format '
            f'{texts.get("format")!r}, not {FORMAT!r}; {describe_contents(state)}'
        )
    if texts.get('format_version') != FORMAT_VERSION:
        raise WeightsError(
            f'{path} has format version {texts.get("format_version")}, version {FORMAT_VERSION} '
            'is supported: update the package'
        )
    try:
        config = SuperPointConfig(**json.loads(texts['configuration']))
        known = {field.name: texts[field.name] for field in fields(WeightsMetadata)}
        known['descriptors_trained'] = bool(json.loads(known['descriptors_trained']))
        ranges = _activation_ranges(texts, config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f'{path} has metadata that cannot be read: {error}') from error
    arrays = {name: value.astype(np.float32, copy=False) for name, value in state.items()}
    network = NetworkArrays(config, arrays, ranges)
    network.check(path)
    # Files of the first version have no checksum.
    if texts.get('sha256', '') not in ('', _checksum(state)):
        raise WeightsError(
            f'{path} is damaged: its tensors do not have the checksum in its metadata; copy it '
            'again'
        )
    return network, WeightsMetadata(**known)


def _activation_ranges(texts: dict[str, str], config: SuperPointConfig) -> ActivationRanges | None:
    """Return the ranges in the metadata of a file, None if it has none."""
    if 'activation_ranges' not in texts:
        return None
    found = json.loads(texts['activation_ranges'])
    ranges = {name: (float(low), float(high)) for name, (low, high) in found.items()}
    for name in config.hidden:
        low, high = ranges[name]
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f'the activation range of {name} is {low} to {high}')
    return ranges
