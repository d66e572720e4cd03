# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Initialization from runs and weight files, of networks of the same or other widths."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.model.config import COMPACT, CONFIGURATIONS, PAPER, SuperPointConfig
from superpoint_ros.model.pruning import add_dead_channels
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata
from superpoint_ros.resources import share_directory
from superpoint_ros.training.channel_selection import select_channels
from superpoint_ros.training.initialization import initialize_from, widen

NARROW = SuperPointConfig(stage_channels=(4, 4, 8, 8), head_channels=8, descriptor_size=8)
WIDER = SuperPointConfig(stage_channels=(8, 12, 16, 20), head_channels=24, descriptor_size=16)


def random_network(config, seed=0):
    """Return a network all of whose channels count."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SuperPoint(config).eval()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5 * 1.4)
    return network


@pytest.fixture
def images():
    return torch.rand(4, 1, 48, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / 'narrow.safetensors'
    save_weights(path, random_network(NARROW), WeightsMetadata())
    return path


def trained(config):
    return SuperPoint(replace(config, normalization='before_relu'))


def save_checkpoint(path, network, configuration):
    """Write a network as a training run does, under the name of a configuration."""
    state = {f'network.{name}': value for name, value in network.state_dict().items()}
    torch.save({'state_dict': state, 'recipe': {'network': configuration}}, path)
    return path


def test_shipped_weights_are_a_start_by_their_name(images):
    network, expected = (trained(CONFIGURATIONS['nano']) for _ in range(2))
    path = share_directory() / 'models' / 'superpoint_nano.safetensors'
    initialize_from(network, Path('superpoint_nano'), images)
    initialize_from(expected, path, images)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[name])
    with pytest.raises(
        FileNotFoundError, match='no weight file superpoint_tiny; .* superpoint_nano'
    ):
        initialize_from(network, Path('superpoint_tiny'), images)


def assert_same_outputs(output, expected):
    torch.testing.assert_close(output.logits, expected.logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(output.descriptors, expected.descriptors, rtol=1e-3, atol=1e-3)


def test_a_network_initialized_from_a_weight_file_computes_the_same(weights, images):
    network = trained(NARROW)
    initialize_from(network, weights, images)
    assert network.training
    expected = random_network(NARROW)(images)
    evaluated = network.eval()(images)
    folded = fold_batch_norm(network)(images)
    for output in (evaluated, folded, network.train()(images)):
        assert_same_outputs(output, expected)


@pytest.mark.parametrize('name', ['compact', 'nano'])
def test_a_checkpoint_of_the_same_network_is_loaded_unchanged(tmp_path, images, name):
    layers = CONFIGURATIONS[name].stage_layers
    config = replace(NARROW, stage_layers=layers, downsampling=CONFIGURATIONS[name].downsampling)
    source, network = trained(config), trained(config)
    source(images)  # moves the batch norms' statistics
    initialize_from(network, save_checkpoint(tmp_path / 'last.ckpt', source, name), images)
    for name, value in network.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


@pytest.mark.parametrize('normalization', ['none', 'before_relu'])
def test_a_checkpoint_without_batch_norms_continues_with_or_without_them(
    tmp_path, images, normalization
):
    source = random_network(NARROW)
    network = SuperPoint(replace(NARROW, normalization=normalization))
    initialize_from(network, save_checkpoint(tmp_path / 'last.ckpt', source, 'compact'), images)
    assert_same_outputs(network.eval()(images), source(images))


def test_a_checkpoint_of_another_program_is_refused(tmp_path, images):
    path = tmp_path / 'other.ckpt'
    for content in ({'state_dict': {'conv1a.weight': torch.zeros(1)}}, {'epoch': 3}):
        torch.save(content, path)
        with pytest.raises(ValueError, match=r'other\.ckpt is not a checkpoint of a training run'):
            initialize_from(SuperPoint(NARROW), path, images)


def test_a_widened_network_computes_almost_the_same(weights, images):
    network = trained(WIDER)
    initialize_from(network, weights, images)
    expected, output = random_network(NARROW)(images), network.eval()(images)
    spread = expected.logits.std()
    assert (output.logits - expected.logits).square().mean().sqrt() < 0.15 * spread
    similar = F.cosine_similarity(output.logits.flatten(1), expected.logits.flatten(1))
    assert (similar > 0.98).all()
    assert output.descriptors.shape[1] == 16
    wide, narrow = (similarities(x.descriptors) for x in (output, expected))
    assert torch.corrcoef(torch.stack([wide, narrow]))[0, 1] > 0.9


def similarities(descriptors):
    """Return the cosine similarities of all pairs of descriptors of a batch."""
    unit = F.normalize(descriptors.transpose(0, 1).flatten(1), dim=0)
    return (unit.T @ unit).flatten()


@pytest.fixture
def without_noise(monkeypatch):
    monkeypatch.setattr('superpoint_ros.training.initialization.COPY_NOISE', 0.0)
    monkeypatch.setattr('superpoint_ros.training.initialization.DESCRIPTOR_NOISE', 0.0)


def test_without_noise_a_widened_network_computes_the_same(without_noise, images):
    source = random_network(NARROW)
    output, expected = widen(source, WIDER)(images), source(images)
    torch.testing.assert_close(output.logits, expected.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        output.descriptors, torch.cat([expected.descriptors] * 2, dim=1), rtol=1e-4, atol=1e-5
    )


def test_copied_channels_have_noise_and_the_others_have_none(request):
    source = random_network(replace(NARROW, fine_channels=6))
    config = replace(WIDER, fine_channels=9)
    noisy = widen(source, config)
    request.getfixturevalue('without_noise')
    exact = widen(source, config)
    for name in config.layers:
        weight, copied = (getattr(each, name).weight for each in (exact, noisy))
        noise = (copied - weight) / weight.std()
        old = getattr(source, name).out_channels
        assert not noise[:old].any(), name
        if name != 'convPb':  # its channels are classes: none is copied
            expected = 0.15 if name in ('convDb', 'convFb') else 0.03
            assert noise[old:].std().item() == pytest.approx(expected, rel=0.25), name
        assert torch.equal(getattr(noisy, name).bias, getattr(exact, name).bias), name


def test_copies_of_channels_have_different_gradients(weights, images):
    network = trained(WIDER)
    initialize_from(network, weights, images)
    network(images).logits.square().mean().backward()
    gradient = network.conv2a.weight.grad
    assert not torch.allclose(gradient[0], gradient[4], rtol=0.01, atol=0)


def test_the_papers_network_is_initialized_from_the_compact_one():
    widened = widen(random_network(COMPACT), PAPER)
    assert widened.config == PAPER
    assert torch.equal(widened.conv1a.weight[:16], random_network(COMPACT).conv1a.weight)


def test_fine_descriptors_begin_small_and_are_kept_afterwards(tmp_path, images):
    path = tmp_path / 'plain.safetensors'
    source = random_network(NARROW)
    save_weights(path, source, WeightsMetadata())
    network = trained(replace(NARROW, fine_channels=6))
    initialize_from(network, path, images)
    output, expected = network.eval()(images), source(images)
    torch.testing.assert_close(output.descriptors, expected.descriptors, rtol=1e-3, atol=1e-4)
    assert 0 < output.fine.std() < expected.descriptors.std()
    fine = fold_batch_norm(network)
    wider = widen(fine, replace(NARROW, fine_channels=9))(images)
    assert (wider.fine - output.fine).abs().mean() < 0.5 * output.fine.abs().mean()
    assert widen(fine, NARROW)(images).fine is None


@pytest.mark.parametrize(
    ('config', 'reason'),
    [
        (WIDER, 'conv1a has 8 channels there, and only 4 here'),
        (
            replace(NARROW, stage_layers=(1, 1, 2, 2)),
            r'the networks differ: \(1, 1, 2, 2\) la',
        ),
    ],
)
def test_initialization_from_a_network_that_does_not_fit_is_refused(
    tmp_path, images, config, reason
):
    path = tmp_path / 'other.safetensors'
    save_weights(path, random_network(config), WeightsMetadata())
    with pytest.raises(ValueError, match=f'cannot initialize this network from {path}: {reason}'):
        initialize_from(trained(NARROW), path, images)


def test_initialization_from_batch_norms_that_cannot_be_folded_is_refused(tmp_path, images):
    path = tmp_path / 'other.safetensors'
    save_weights(path, SuperPoint(replace(NARROW, normalization='after_relu')), WeightsMetadata())
    with pytest.raises(ValueError, match=f'from {path}: it has batch norms that cannot be folded'):
        initialize_from(trained(NARROW), path, images)


def test_the_stages_of_a_wider_network_are_narrowed_on_request(tmp_path, images):
    path = tmp_path / 'wide.safetensors'
    source = random_network(WIDER)
    save_weights(path, source, WeightsMetadata())
    network = trained(replace(WIDER, stage_channels=(4, 6, 16, 20)))
    initialize_from(network, path, images, narrow=True)
    # Layers after those that were narrowed are as they were.
    torch.testing.assert_close(fold_batch_norm(network).convPb.weight, source.convPb.weight)
    with pytest.raises(ValueError, match='conv1a has 8 channels there, and only 4 here'):
        initialize_from(network, path, images)


def test_longer_descriptors_keep_their_principal_components(tmp_path, images):
    source = random_network(WIDER)
    path = tmp_path / 'long.safetensors'
    save_weights(path, source, WeightsMetadata())
    network = trained(replace(WIDER, descriptor_size=12))
    initialize_from(network, path, images)
    output, expected = network.eval()(images), source(images)
    torch.testing.assert_close(output.logits, expected.logits, rtol=1e-3, atol=1e-4)
    truth = similarities(expected.descriptors)
    error = (similarities(output.descriptors) - truth).abs().max()
    first = similarities(expected.descriptors[:, :12]) - truth
    assert error < 0.2 * first.abs().max()


def test_dead_channels_of_a_weight_file_are_not_trained(tmp_path, images):
    path = tmp_path / 'silent.safetensors'
    wide = replace(WIDER, descriptor_size=NARROW.descriptor_size)
    save_weights(path, add_dead_channels(random_network(NARROW), wide), WeightsMetadata())
    network = trained(NARROW)
    initialize_from(network, path, images)
    expected = random_network(NARROW)(images).logits
    torch.testing.assert_close(network.eval()(images).logits, expected, rtol=1e-3, atol=1e-3)


SELECTED = SuperPointConfig(stage_channels=(4, 6, 8, 8), head_channels=12, descriptor_size=16)


@pytest.fixture
def selectable() -> SuperPoint:
    torch.manual_seed(0)
    return SuperPoint(SELECTED).eval()


@pytest.fixture
def few_images() -> torch.Tensor:
    return torch.rand((2, 1, 32, 40), generator=torch.Generator().manual_seed(1))


def test_channels_that_no_layer_uses_are_removed_first(selectable, few_images):
    with torch.no_grad():
        selectable.conv2b.weight[:, [1, 4]] = 0  # no layer uses these channels of conv2a
        selectable.conv3a.weight[:, [0, 5]] = 0
        selectable.convPb.weight *= 100  # keeps importance above rounding errors
        selectable.convPb.weight[:, [2, 3, 7]] = 0
        selectable.convDb.weight[:, [0, 3, 11]] = 0
        expected = selectable(few_images)
        result = select_channels(
            selectable,
            replace(SELECTED, stage_channels=(4, 4, 8, 8), head_channels=9),
            few_images,
        )
        assert result.config.stage_channels == (4, 4, 8, 8)
        assert result.config.head_channels == (9, 9)
        torch.testing.assert_close(
            tuple(result(few_images)), tuple(expected), rtol=1e-4, atol=1e-5
        )


def test_channel_selection_does_not_modify_its_source(selectable, few_images):
    before = {name: value.clone() for name, value in selectable.state_dict().items()}
    result = select_channels(
        selectable, replace(SELECTED, stage_channels=(2, 3, 8, 5)), few_images
    )
    assert result.config.stage_channels == (2, 3, 8, 5)
    assert result.config.head_channels == (12, 12)
    for name, value in selectable.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_channel_selection_keeps_a_network_that_is_narrow_enough(selectable, few_images):
    result = select_channels(selectable, SELECTED, few_images)
    assert result.config == SELECTED
    for name, value in selectable.state_dict().items():
        assert torch.equal(result.state_dict()[name], value), name
