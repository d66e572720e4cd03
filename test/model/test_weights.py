# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Weight files are read as they were saved; damaged and foreign ones are named."""

from dataclasses import replace
import errno
import os
import pickle

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
import torch
import torch.nn.functional as F

from superpoint_ros.model.config import COMPACT, NANO, PAPER, SuperPointConfig
from superpoint_ros.model.network_arrays import WeightsError
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import load_weights, save_weights, WeightsMetadata

TINY = SuperPointConfig((4, 6, 8, 10), 12, 16)
METADATA = WeightsMetadata('cpu', 'shapes', 'mAP .9', '1', 'Apache-2.0', descriptors_trained=False)


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / 'weights.safetensors'
    save_weights(path, SuperPoint(TINY), METADATA)
    return path


def read(image_size=(24, 32)):
    return torch.rand(1, 1, *image_size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('config', [replace(TINY, normalization='before_relu'), NANO])
def test_saved_weights_are_loaded_unchanged(tmp_path, config):
    torch.manual_seed(3)
    model = SuperPoint(config)
    model(torch.rand(4, 1, 32, 32))  # moves the running statistics
    model.eval()
    save_weights(tmp_path / 'a.safetensors', model, METADATA)
    loaded, metadata = load_weights(tmp_path / 'a.safetensors')
    assert metadata == METADATA
    assert loaded.config == replace(config, normalization='none')
    with torch.no_grad():
        for expected, got in zip(model(read()).parts, loaded(read()).parts, strict=True):
            assert torch.allclose(got, expected, atol=1e-5)


def test_files_of_a_later_version_and_other_names_are_refused(file, tmp_path):
    with safe_open(file, framework='np') as opened:
        texts = {**opened.metadata(), 'format_version': '99'}
    save_file(load_file(file), file, metadata=texts)
    with pytest.raises(WeightsError, match=r'format version 99, version .* update the package'):
        load_weights(file)
    with pytest.raises(ValueError, match=r"must end in \.safetensors, got 'weights\.pt'"):
        save_weights(tmp_path / 'weights.pt', SuperPoint(TINY), METADATA)


def test_weight_files_use_the_layer_names_of_other_programs(file):
    names = set(load_file(file))
    layers = ['1a', '1b', '2a', '2b', '3a', '3b', '4a', '4b', 'Pa', 'Pb', 'Da', 'Db']
    assert names == {f'conv{n}.{kind}' for n in layers for kind in ('weight', 'bias')}


def forward_v1(state, image):
    """Return logits and descriptors as the published demo of superpoint_v1.pth computes them."""

    def conv(name, x):
        weight = state[f'conv{name}.weight']
        return F.conv2d(x, weight, state[f'conv{name}.bias'], padding=weight.shape[-1] // 2)

    x = image
    for stage in '1234':
        x = F.relu(conv(f'{stage}b', F.relu(conv(f'{stage}a', x))))
        x = F.max_pool2d(x, 2) if stage != '4' else x
    return conv('Pb', F.relu(conv('Pa', x))), conv('Db', F.relu(conv('Da', x)))


@pytest.mark.parametrize(
    'config',
    [PAPER, replace(COMPACT, fine_channels=0), TINY, replace(TINY, head_channels=(8, 12))],
    ids=['paper', 'compact', 'tiny', 'heads of different width'],
)
def test_superpoint_v1_checkpoints_are_read(tmp_path, config):
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.05
        for name, value in SuperPoint(config).state_dict().items()
    }
    torch.save(state, tmp_path / 'superpoint_v1.pth')
    model, _ = load_weights(tmp_path / 'superpoint_v1.pth')
    assert model.config == config
    for expected, got in zip(forward_v1(state, read()), model(read()).parts, strict=True):
        assert torch.allclose(got, expected, atol=1e-5)


def random_v6(generator):
    """Return random tensors with the names and shapes of superpoint_v6_from_tf.pth."""
    widths = [1, 64, 64, 128, 128]
    blocks = {}
    for stage in range(4):
        blocks[f'backbone.{stage}.0'] = (widths[stage + 1], widths[stage], 3)
        blocks[f'backbone.{stage}.1'] = (widths[stage + 1], widths[stage + 1], 3)
    blocks |= {'detector.0': (256, 128, 3), 'detector.1': (65, 256, 1)}
    blocks |= {'descriptor.0': (256, 128, 3), 'descriptor.1': (256, 256, 1)}
    state = {}
    for name, (outgoing, incoming, kernel) in blocks.items():
        shape = (outgoing, incoming, kernel, kernel)
        state[f'{name}.conv.weight'] = torch.randn(shape, generator=generator) * 0.05
        state[f'{name}.conv.bias'] = torch.randn(outgoing, generator=generator) * 0.1
        state[f'{name}.bn.weight'] = torch.rand(outgoing, generator=generator) + 0.5
        state[f'{name}.bn.bias'] = torch.randn(outgoing, generator=generator) * 0.1
        state[f'{name}.bn.running_mean'] = torch.randn(outgoing, generator=generator) * 0.1
        state[f'{name}.bn.running_var'] = torch.rand(outgoing, generator=generator) + 0.5
        state[f'{name}.bn.num_batches_tracked'] = torch.tensor(7)
    return state


def forward_v6(state, image):
    """Return logits and descriptors by convolution, ReLU and then batch norm of eps 1e-3."""

    def block(name, x, relu=True):
        weight = state[f'{name}.conv.weight']
        x = F.conv2d(x, weight, state[f'{name}.conv.bias'], padding=weight.shape[-1] // 2)
        x = F.relu(x) if relu else x
        bn = {key: state[f'{name}.bn.{key}'] for key in ('weight', 'bias', 'running_mean')}
        scale = bn['weight'] / (state[f'{name}.bn.running_var'] + 1e-3).sqrt()
        shift = bn['bias'] - bn['running_mean'] * scale
        return x * scale[:, None, None] + shift[:, None, None]

    x = image
    for stage in range(4):
        x = block(f'backbone.{stage}.1', block(f'backbone.{stage}.0', x))
        x = F.max_pool2d(x, 2) if stage < 3 else x
    return tuple(
        block(f'{head}.1', block(f'{head}.0', x), relu=False)
        for head in ('detector', 'descriptor')
    )


def test_superpoint_v6_checkpoints_are_read_and_written_unfolded(tmp_path):
    state = random_v6(torch.Generator().manual_seed(0))
    torch.save(state, tmp_path / 'superpoint_v6_from_tf.pth')
    model, _ = load_weights(tmp_path / 'superpoint_v6_from_tf.pth')
    save_weights(tmp_path / 'own.safetensors', model, METADATA)
    again, _ = load_weights(tmp_path / 'own.safetensors')
    for network in (model, again):
        for expected, got in zip(forward_v6(state, read()), network(read()).parts, strict=True):
            assert torch.allclose(got, expected, atol=1e-4)


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no weight file .*none.safetensors'):
        load_weights(tmp_path / 'none.safetensors')
    with pytest.raises(WeightsError, match='is a directory'):
        load_weights(tmp_path)


def test_a_file_without_permission_to_read_is_not_called_damaged(file, monkeypatch):
    # Root may read every file: the error of other users is raised here.
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, 'Permission denied', str(file))

    monkeypatch.setattr(type(file), 'open', refuse)
    with pytest.raises(PermissionError, match='Permission denied'):
        load_weights(file)


@pytest.mark.parametrize('length', [0, 4, 100, 5000])
def test_a_truncated_file_is_named(file, length):
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r'weights.safetensors is not a complete .* truncated'):
        load_weights(file)


def test_random_bytes_are_not_a_weight_file(tmp_path):
    for name in ('noise.safetensors', 'noise.pth', 'noise.pt'):
        (tmp_path / name).write_bytes(bytes(range(256)) * 100)
        with pytest.raises(WeightsError, match=name):
            load_weights(tmp_path / name)


def test_a_foreign_safetensors_file_is_named(tmp_path):
    save_file({'layer': torch.zeros(3)}, tmp_path / 'other.safetensors')
    with pytest.raises(
        WeightsError, match="has no SuperPoint weights of this package.* its entries are 'layer'"
    ):
        load_weights(tmp_path / 'other.safetensors')


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ({'fc.weight': torch.zeros(3, 3)}, "its entries are 'fc.weight'; a state dictionary with"),
        ({'epoch': 3, 'optimizer': {}}, "its entries are 'epoch', 'optimizer'; a state"),
        ({'model_state_dict': {}, 'loss': 0.5}, 'its state dictionary is empty; a state'),
        ([torch.zeros(3)], 'it has an object of type list; a state'),
        (
            {'model_state_dict': {}, 'loss': np.float64(1)},
            'has objects of numpy.*multiarray',
        ),
    ],
)
def test_a_foreign_checkpoint_is_named_with_what_it_has(tmp_path, content, said):
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(WeightsError, match=said) as error:
        load_weights(tmp_path / 'other.pth')
    message = str(error.value)
    assert message.startswith(str(tmp_path / 'other.pth'))
    assert message.isprintable()
    assert 'weights_only' not in message  # this advice of PyTorch would run code


def test_a_torchscript_graph_is_named_as_one(tmp_path, recwarn):
    path = tmp_path / 'graph.pt'
    torch.jit.save(torch.jit.trace(torch.nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)), path)
    recwarn.clear()
    with pytest.raises(WeightsError, match=f'^{path} is a TorchScript graph'):
        load_weights(path)
    assert not recwarn


def test_an_onnx_graph_is_named_as_one(tmp_path):
    path = tmp_path / 'graph.onnx'
    path.write_bytes(b'\x08\x0a')
    with pytest.raises(WeightsError, match=f'^{path} is an ONNX graph, as `superpoint export`'):
        load_weights(path)


@pytest.mark.parametrize('prefix', ['', 'module.', '_orig_mod.', 'network.net.'])
@pytest.mark.parametrize('container', [None, 'state_dict', 'model'])
@pytest.mark.parametrize('fine_channels', [0, 4])
def test_checkpoints_with_a_prefix_or_in_a_container_are_read(
    tmp_path, prefix, container, fine_channels
):
    config = replace(TINY, fine_channels=fine_channels)
    model = SuperPoint(config)
    state = {prefix + name: value for name, value in model.state_dict().items()}
    content = {container: {'state_dict': state}, 'epoch': 3} if container else state
    torch.save(content, tmp_path / 'wrapped.pth')
    loaded, _ = load_weights(tmp_path / 'wrapped.pth')
    assert loaded.config == config
    assert torch.equal(loaded.conv1a.weight, model.conv1a.weight)


def test_a_damaged_tensor_is_found_by_the_checksum(file, tmp_path):
    content = bytearray(file.read_bytes())
    content[-10] ^= 0x01
    file.write_bytes(content)
    with pytest.raises(WeightsError, match='is damaged: its tensors do not have the checksum'):
        load_weights(file)
    checkpoint = tmp_path / 'a.pth'
    torch.save(SuperPoint(TINY).state_dict(), checkpoint)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 0x01
    checkpoint.write_bytes(content)
    with pytest.raises(WeightsError, match=r'a\.pth is damaged, .*\(Bad CRC-32 for file'):
        load_weights(checkpoint)


def test_nothing_that_is_loaded_can_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / 'harm'),))

    (tmp_path / 'evil.pth').write_bytes(pickle.dumps(Evil()))
    torch.save({'conv1a.weight': Evil()}, tmp_path / 'evil2.pth')
    for name in ('evil.pth', 'evil2.pth'):
        with pytest.raises(WeightsError, match='other than tensors are not|Unsupported operand'):
            load_weights(tmp_path / name)
    assert not (tmp_path / 'harm').exists()


def rewrite(file, change):
    """Write the file again with changed tensors, under its own metadata."""
    from safetensors import safe_open

    with safe_open(file, 'pt') as handle:
        metadata = handle.metadata()
    save_file(change(load_file(file)), file, metadata=metadata)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda s: {**s, 'convPb.weight': torch.zeros(64, 12, 1, 1)},
            r'convPb.weight has shape \(64, 12, 1, 1\) instead of \(65, 12, 1, 1\)',
        ),
        (lambda s: {k: v for k, v in s.items() if k != 'conv3a.bias'}, 'conv3a.bias is missing'),
        (lambda s: {**s, 'extra': torch.zeros(1)}, 'extra is unknown'),
        (lambda s: {**s, 'conv1a.bias': torch.full((4,), float('nan'))}, 'conv1a.bias is not fin'),
    ],
)
def test_tensors_that_do_not_fit_are_named(file, change, message):
    rewrite(file, change)
    with pytest.raises(WeightsError, match=message):
        load_weights(file)


def test_only_finite_weights_are_saved(tmp_path):
    model = SuperPoint(TINY)
    model.conv2a.bias.data[1] = float('inf')
    with pytest.raises(ValueError, match=r'not finite were not saved: conv2a.bias'):
        save_weights(tmp_path / 'a.safetensors', model, METADATA)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        save_weights(file, SuperPoint(COMPACT), METADATA)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]
