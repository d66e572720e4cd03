# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Weight files: reading and writing networks with metadata.

The project's own files are `.safetensors`: tensors of a folded network under the de-facto standard
names, with metadata and a checksum. Checkpoints of other projects (`.pth`, `.pt`) are read, too.
Nothing that is read can run code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
import hashlib
import io
import json
from pathlib import Path
import re
from typing import Any
import zipfile

from safetensors import safe_open
from safetensors.torch import save
import torch

from superpoint_ros.files import write_atomically
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint, SuperPointConfig

FORMAT = 'superpoint_ros'
FORMAT_VERSION = '1'

_V1, _V6 = 'conv1a.weight', 'backbone.0.0.conv.weight'
"""Names of the first layer in superpoint_v1.pth and in superpoint_v6_from_tf.pth."""

_CONTAINERS = ('model_state_dict', 'state_dict', 'model', 'network', 'net', 'weights')
"""Names under which checkpoints store the state dictionary."""


class WeightsError(ValueError):
    """Error of a weight file that cannot be used."""


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


def save_weights(path: str | Path, model: SuperPoint, metadata: WeightsMetadata) -> None:
    """
    Write the network, folded, to a `.safetensors` file.

    The file is written completely or not at all: after an error, such as a full disk (OSError), a
    previous file is unchanged. Networks with batch norm after ReLU cannot be folded and are
    written unfolded. Raises ValueError if a weight is not finite.
    """
    path = Path(path)
    if path.suffix != '.safetensors':
        raise ValueError(f'the name of a weight file must end in .safetensors, got {path.name!r}')
    if model.config.normalization == 'before_relu':
        model = fold_batch_norm(model)
    state = {
        name: value.detach().cpu().float().contiguous()
        for name, value in model.state_dict().items()
        if not name.endswith('num_batches_tracked')
    }
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise ValueError(f'weights that are not finite were not saved: {", ".join(broken)}')
    texts = {name: str(value) for name, value in asdict(metadata).items()}
    texts['descriptors_trained'] = json.dumps(metadata.descriptors_trained)
    texts |= {'format': FORMAT, 'format_version': FORMAT_VERSION, 'sha256': _checksum(state)}
    texts['configuration'] = json.dumps(asdict(model.config))
    write_atomically(path, save(state, metadata=texts))


def _checksum(state: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256 of names and values of tensors."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def load_weights(path: str | Path) -> tuple[SuperPoint, WeightsMetadata]:
    """
    Return the network, in evaluation mode, float32 and on the CPU, and its metadata.

    Reads the project's own files, state dictionaries with the names of `superpoint_v1.pth`, and
    those of rpautrat's `superpoint_v6_from_tf.pth`, also with a prefix such as `module.` and in a
    checkpoint. Raises FileNotFoundError if there is no such file, WeightsError that names the file
    and what is wrong with it.
    """
    path = Path(path)
    if path.is_dir():
        raise WeightsError(f'{path} is a directory: give a weight file in it')
    if not path.is_file():
        raise FileNotFoundError(f'there is no weight file {path}')
    if path.suffix == '.safetensors':
        return _read_own(path)
    state, config = _read_checkpoint(path)
    metadata = WeightsMetadata(recipe=f'imported from {path.name}', licence='unknown')
    return _build(path, state, config), metadata


def _read_own(path: Path) -> tuple[SuperPoint, WeightsMetadata]:
    """Return the network and the metadata in a `.safetensors` file."""
    try:
        with safe_open(path, framework='pt') as file:
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
            f'{texts.get("format")!r}, not {FORMAT!r}; {_contents(state)}'
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
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f'{path} has metadata that cannot be read: {error}') from error
    model = _build(path, state, config)
    # Files of the first version have no checksum.
    if texts.get('sha256', '') not in ('', _checksum(state)):
        raise WeightsError(
            f'{path} is damaged: its tensors do not have the checksum in its metadata; copy it '
            'again'
        )
    return model, WeightsMetadata(**known)


def read_torch_file(path: Path) -> Any:
    """
    Return the tensors and plain values in a file of `torch.save`, on the CPU.

    Nothing in the file is run as code. Raises WeightsError that names the file and the cause.
    """
    try:
        return torch.load(_checked_copy(path), map_location='cpu', weights_only=True)
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
        f'{path} has no SuperPoint weights; {_contents(state)}; a state dictionary with the names '
        f"of superpoint_v1.pth ('{_V1}' ...) or superpoint_v6_from_tf.pth ('{_V6}' ...) is needed"
    )


def _without_prefix(state: dict) -> dict:
    """Return the tensors without the prefix that a wrapper, such as DataParallel, has added."""
    for name in state:
        for first in (_V1, _V6):
            if isinstance(name, str) and name.endswith(f'.{first}'):
                prefix = name.removesuffix(first)
                return {str(key).removeprefix(prefix): value for key, value in state.items()}
    return state


def _contents(state: Any) -> str:
    """Return in words what a file has instead of the expected tensors."""
    if not isinstance(state, dict):
        return f'it has an object of type {type(state).__name__}'
    names = ', '.join(repr(str(name)) for name in list(state)[:3])
    more = f' and {len(state) - 3} more' if len(state) > 3 else ''
    return f'its entries are {names}{more}' if state else 'its state dictionary is empty'


def _rename_v6(state: dict) -> dict:
    """Return the tensors of a `superpoint_v6_from_tf.pth` under the names of our layers."""
    blocks = {f'backbone.{stage}.{half}': f'{stage + 1}{"ab"[half]}'
              for stage in range(4) for half in range(2)}  # fmt: skip
    blocks |= {'detector.0': 'Pa', 'detector.1': 'Pb', 'descriptor.0': 'Da', 'descriptor.1': 'Db'}
    renamed = {}
    for name, value in state.items():
        block, _, rest = name.partition('.conv.')
        kind = 'conv'
        if not rest:
            block, _, rest = name.partition('.bn.')
            kind = 'bn'
        if block in blocks and rest != 'num_batches_tracked':
            renamed[f'{kind}{blocks[block]}.{rest}'] = value
        elif block not in blocks:
            renamed[name] = value  # reported as unknown later
    return renamed


def _infer_config(path: Path, state: dict, normalization: str) -> SuperPointConfig:
    """Return the configuration that the shapes of the tensors imply."""
    try:
        stages = tuple(state[f'conv{stage}b.weight'].shape[0] for stage in (1, 2, 3, 4))
        head = state['convPa.weight'].shape[0]
        size = state['convDb.weight'].shape[0]
        return SuperPointConfig(stages, head, size, normalization)
    except (KeyError, IndexError) as error:
        raise WeightsError(f'{path} lacks the weights {error}') from error
    except ValueError as error:
        raise WeightsError(f'{path} does not fit the network: {error}') from error


def _build(path: Path, state: dict, config: SuperPointConfig) -> SuperPoint:
    """Return the network of the configuration with these tensors, which must fit it exactly."""
    model = SuperPoint(config)
    expected = {
        name: value
        for name, value in model.state_dict().items()
        if not name.endswith('num_batches_tracked')
    }
    problems = [f'{name} is missing' for name in expected if name not in state]
    problems += [f'{name} is unknown' for name in state if name not in expected]
    for name, value in expected.items():
        if name in state and state[name].shape != value.shape:
            problems.append(
                f'{name} has shape {tuple(state[name].shape)} instead of {tuple(value.shape)}'
            )
        elif name in state and not torch.isfinite(state[name].float()).all():
            problems.append(f'{name} is not finite')
    if problems:
        more = f' and {len(problems) - 4} more' if len(problems) > 4 else ''
        raise WeightsError(f'{path} does not fit the network: {"; ".join(problems[:4])}{more}')
    model.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    return model.eval().requires_grad_(False)
