# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Files of `torch.save`: checkpoints of other projects, and of training runs.

Nothing that is read can run code.
"""

from __future__ import annotations

from dataclasses import replace
import io
from pathlib import Path
import re
from typing import Any
import zipfile

import torch

from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.network_arrays import (
    describe_contents,
    NetworkArrays,
    WeightsError,
    widths_of,
)

_V1, _V6 = 'conv1a.weight', 'backbone.0.0.conv.weight'
"""Names of the first layer in superpoint_v1.pth and in superpoint_v6_from_tf.pth."""

_CONTAINERS = ('model_state_dict', 'state_dict', 'model', 'network', 'net', 'weights')
"""Names under which checkpoints store the state dictionary."""


def read_torch_file(path: Path) -> Any:
    """
    Return the tensors and plain values in a file of `torch.save`, on the CPU.

    Nothing in the file is run as code. Raises WeightsError that names the file and the cause.
    """
    if path.suffix.lower() == '.onnx':
        raise _graph_error(path, 'an ONNX graph')
    try:
        content = _checked_copy(path)
        is_graph = _is_torchscript(content)
        if not is_graph:
            return torch.load(content, map_location='cpu', weights_only=True)
    except Exception as error:
        foreign = re.search(r'GLOBAL (\S+)', str(error))
        if foreign:
            raise WeightsError(
                f'{path} has objects of {foreign[1]}; objects other than tensors are not loaded, '
                'since they could run code: load the file in the program that wrote it, and save '
                'the state dictionary (model.state_dict()) alone'
            ) from error
        # PyTorch's message starts with the advice to allow the file to run code.
        text = re.sub(r'\x1b\[[0-9;]*m', '', str(error)).rpartition('WeightsUnpickler error:')[2]
        reason = (text.strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f'{path} is damaged, or not a PyTorch file of plain tensors ({reason})'
        ) from error
    raise _graph_error(path, 'a TorchScript graph')


def _graph_error(path: Path, kind: str) -> WeightsError:
    """Return the error that a file is a graph of the detector instead of weights."""
    return WeightsError(
        f'{path} is {kind}, as `superpoint export` writes it: give the weight file '
        'from which it was made'
    )


def _is_torchscript(content: io.BytesIO) -> bool:
    """Return whether a file is an archive of TorchScript, as `torch.jit.save` writes it."""
    is_zip = zipfile.is_zipfile(content)
    content.seek(0)
    if not is_zip:
        return False
    with zipfile.ZipFile(content) as archive:
        names = archive.namelist()
    content.seek(0)
    return any(name.endswith('/constants.pkl') for name in names)


def _checked_copy(path: Path) -> io.BytesIO:
    """Return the content of a file of `torch.save`; raise BadZipFile if a checksum is wrong."""
    content = io.BytesIO(path.read_bytes())
    if not zipfile.is_zipfile(content):  # written before PyTorch 1.6, without checksums
        content.seek(0)
        return content
    copy = io.BytesIO()
    # PyTorch does not compare checksums, and trusts headers that zipfile does not use.
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(copy, 'w') as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    copy.seek(0)
    return copy


def read_checkpoint_arrays(path: Path) -> NetworkArrays:
    """
    Return the network in a checkpoint of another project, under the names of our layers.

    Raises WeightsError that names the file and what is wrong with it.
    """
    state, config = _read_checkpoint(path)
    arrays = {name: value.float().numpy() for name, value in state.items()}
    network = NetworkArrays(config, arrays)
    network.check(path)
    return network


def _read_checkpoint(path: Path) -> tuple[dict, SuperPointConfig]:
    """Return tensors under our names, and the configuration, of another project's checkpoint."""
    state = read_torch_file(path)
    while isinstance(state, dict):
        nested = next((name for name in _CONTAINERS if isinstance(state.get(name), dict)), None)
        if nested is None:
            break
        state = state[nested]
    if isinstance(state, dict) and all(torch.is_tensor(value) for value in state.values()):
        state = _without_prefix(state)
        if _V1 in state:
            return state, _infer_config(path, state, 'none')
        if _V6 in state:
            state = _rename_v6(state)
            config = _infer_config(path, state, 'after_relu')
            return state, replace(config, normalization_eps=1e-3)
    raise WeightsError(
        f'{path} has no SuperPoint weights; {describe_contents(state)}; a state dictionary '
        f"with the names of superpoint_v1.pth ('{_V1}' ...) or superpoint_v6_from_tf.pth "
        f"('{_V6}' ...) is needed"
    )


def _without_prefix(state: dict) -> dict:
    """Return the tensors without the prefix that a wrapper, such as DataParallel, has added."""
    for name in state:
        for first in (_V1, _V6):
            if isinstance(name, str) and name.endswith(f'.{first}'):
                prefix = name.removesuffix(first)
                return {str(key).removeprefix(prefix): value for key, value in state.items()}
    return state


def _rename_v6(state: dict) -> dict:
    """Return the tensors of a `superpoint_v6_from_tf.pth` under the names of our layers."""
    blocks = {f'backbone.{stage}.{half}': f'{stage + 1}{"ab"[half]}'
              for stage in range(4) for half in range(2)}  # fmt: skip
    blocks |= {'detector.0': 'Pa', 'detector.1': 'Pb', 'descriptor.0': 'Da', 'descriptor.1': 'Db'}
    renamed = {}
    for name, value in state.items():
        parts = re.fullmatch(r'(.+)\.(conv|bn)\.(\w+)', name)
        if not parts or parts[1] not in blocks:
            renamed[name] = value  # reported as unknown later
        elif parts[3] != 'num_batches_tracked':
            renamed[f'{parts[2]}{blocks[parts[1]]}.{parts[3]}'] = value
    return renamed


def _infer_config(path: Path, state: dict, normalization: str) -> SuperPointConfig:
    """Return the configuration that the shapes of the tensors imply."""
    try:
        return SuperPointConfig(**widths_of(state), normalization=normalization)
    except (KeyError, IndexError) as error:
        raise WeightsError(f'{path} lacks the weights {error}') from error
    except ValueError as error:
        raise WeightsError(f'{path} does not fit the network: {error}') from error
