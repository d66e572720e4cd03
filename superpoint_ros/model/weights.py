# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Weight files: reading and writing networks with what is known about them.

The project's own files are `.safetensors`: tensors of a folded network under the de-facto standard
names, with metadata. Checkpoints of other projects (`.pth`, `.pt`) are read too. Nothing that is
read can run code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
import json
from pathlib import Path
import pickle
import zipfile

from safetensors import safe_open, SafetensorError
from safetensors.torch import save
import torch

from superpoint_ros.files import write_atomically
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint, SuperPointConfig

FORMAT = 'superpoint_ros'
FORMAT_VERSION = '1'


class WeightsError(ValueError):
    """Say which weight file cannot be used, and why."""


@dataclass(frozen=True)
class WeightsMetadata:
    """
    Say where weights come from.

    All are free text, but `descriptors_trained`: false for a detector alone (MagicPoint), whose
    descriptors mean nothing.
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

    The file appears whole or not at all: an error, such as a full disk (OSError), leaves what was
    at `path` before. Networks with batch norm after ReLU cannot be folded and are written as they
    are. Raises ValueError where a weight is not finite.
    """
    path = Path(path)
    if path.suffix != '.safetensors':
        raise ValueError(f'weight files end in .safetensors, got {path.name!r}')
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
    texts |= {'format': FORMAT, 'format_version': FORMAT_VERSION}
    texts['configuration'] = json.dumps(asdict(model.config))
    write_atomically(path, save(state, metadata=texts))


def load_weights(path: str | Path) -> tuple[SuperPoint, WeightsMetadata]:
    """
    Return the network, in evaluation mode, float32 and on the CPU, and what is known about it.

    Reads the project's own files, state dictionaries with the names of `superpoint_v1.pth`, and
    those of rpautrat's `superpoint_v6_from_tf.pth`. Raises FileNotFoundError where there is no
    such file, and WeightsError that names the file and what is wrong with it.
    """
    path = Path(path)
    if path.is_dir():
        raise WeightsError(f'{path} is a directory: name a weight file in it')
    if not path.is_file():
        raise FileNotFoundError(f'there is no weight file {path}')
    if path.suffix == '.safetensors':
        state, config, metadata = _read_own(path)
    else:
        state, config = _read_checkpoint(path)
        metadata = WeightsMetadata(recipe=f'imported from {path.name}', licence='unknown')
    return _build(path, state, config), metadata


def _read_own(path: Path) -> tuple[dict, SuperPointConfig, WeightsMetadata]:
    """Return tensors, configuration and metadata of a `.safetensors` file."""
    try:
        with safe_open(path, framework='pt') as file:
            texts = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(
            f'{path} is not a whole .safetensors file; it may be truncated or corrupt, '
            f'copy it anew ({error})'
        ) from error
    if texts.get('format') != FORMAT:
        raise WeightsError(
            f'{path} holds no SuperPoint weights of this package: its metadata name the format '
            f'{texts.get("format")!r}, not {FORMAT!r}'
        )
    if texts.get('format_version') != FORMAT_VERSION:
        raise WeightsError(
            f'{path} has format version {texts.get("format_version")}; this program reads '
            f'version {FORMAT_VERSION}: update the package'
        )
    try:
        config = SuperPointConfig(**json.loads(texts['configuration']))
        known = {field.name: texts[field.name] for field in fields(WeightsMetadata)}
        known['descriptors_trained'] = bool(json.loads(known['descriptors_trained']))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f'{path} has metadata that cannot be read: {error}') from error
    return state, config, WeightsMetadata(**known)


def _read_checkpoint(path: Path) -> tuple[dict, SuperPointConfig]:
    """Return tensors under our names, and the configuration, of another project's checkpoint."""
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise WeightsError(
            f'{path} cannot be read as a PyTorch file of plain tensors '
            f'({str(error).splitlines()[0] if str(error) else type(error).__name__})'
        ) from error
    for key in ('model_state_dict', 'state_dict', 'model'):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    tensors = isinstance(state, dict) and all(torch.is_tensor(v) for v in state.values())
    if tensors and 'conv1a.weight' in state:
        return state, _infer_config(path, state, 'none')
    if tensors and 'backbone.0.0.conv.weight' in state:
        state = _rename_v6(state)
        return state, replace(_infer_config(path, state, 'after_relu'), normalization_eps=1e-3)
    raise WeightsError(
        f'{path} holds no SuperPoint weights: expected a state dictionary with the names of '
        "superpoint_v1.pth ('conv1a.weight' ...) or superpoint_v6_from_tf.pth "
        "('backbone.0.0.conv.weight' ...)"
    )


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
            renamed[name] = value  # named as unknown later
    return renamed


def _infer_config(path: Path, state: dict, normalization: str) -> SuperPointConfig:
    """Return the configuration that the shapes of the tensors tell."""
    try:
        stages = tuple(state[f'conv{stage}b.weight'].shape[0] for stage in (1, 2, 3, 4))
        head = state['convPa.weight'].shape[0]
        size = state['convDb.weight'].shape[0]
    except (KeyError, IndexError) as error:
        raise WeightsError(f'{path} lacks the weights {error}') from error
    return SuperPointConfig(stages, head, size, normalization)


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
