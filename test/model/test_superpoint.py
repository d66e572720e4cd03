# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network has the published layers, counts of operations and outputs."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from superpoint_ros.model.config import COMPACT, CONFIGURATIONS, NANO, PAPER, SuperPointConfig
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint


def count_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def with_lively_norms(config, seed=0):
    """Return a network whose batch norms are far from the identity."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = SuperPoint(config).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return model


def test_the_paper_network_has_the_papers_parameters():
    assert count_parameters(SuperPoint(PAPER)) == 1_300_865


@pytest.mark.parametrize(('config', 'expected'), [(PAPER, 26.05), (COMPACT, 6.335), (NANO, 0.945)])
def test_networks_take_as_many_multiply_adds_as_documented(config, expected):
    total = 0

    def count(module, inputs, output):
        nonlocal total
        total += module.weight[0].numel() * output.numel()

    model = SuperPoint(config)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 1, 480, 640))
    assert total / 1e9 == pytest.approx(expected, rel=1e-3)


def test_each_stage_has_as_many_layers_as_configured():
    config = SuperPointConfig((3, 4, 5, 6), 7, 8, stage_layers=(1, 2, 3, 1))
    model = SuperPoint(config)
    found = {n: (m.in_channels, m.out_channels) for n, m in model.named_modules() if 'conv' in n}
    assert found == {
        'conv1a': (1, 3),
        'conv2a': (3, 4),
        'conv2b': (4, 4),
        'conv3a': (4, 5),
        'conv3b': (5, 5),
        'conv3c': (5, 5),
        'conv4a': (5, 6),
        'convPa': (6, 7),
        'convPb': (7, 65),
        'convDa': (6, 7),
        'convDb': (7, 8),
    }


def test_a_stride_computes_every_second_output_instead_of_pooling():
    config = SuperPointConfig((3, 4, 5, 6), 7, 8, downsampling='stride')
    model = SuperPoint(config).eval()
    x = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model.detect(x)
        for name in config.encoder:
            layer = getattr(model, name)
            x = F.conv2d(x, layer.weight, layer.bias, padding=1).relu()
            x = x[..., ::2, ::2] if name in ('conv1b', 'conv2b', 'conv3b') else x
        x = model.convPb(model.convPa(x).relu())
    torch.testing.assert_close(logits, x)


@pytest.mark.parametrize(
    ('downsampling', 'layers', 'source'),
    [
        ('pooling', (1, 1, 2, 1), 'conv3b'),
        ('stride', (1, 1, 1, 2), 'conv2a'),
        ('stride', (1, 1, 2, 1), 'conv3a'),
    ],
)
def test_fine_descriptors_read_the_last_layer_with_a_quarter_of_the_size(
    downsampling, layers, source
):
    config = SuperPointConfig(stage_layers=layers, downsampling=downsampling, fine_channels=8)
    assert config.layers['convFa'].source == source
    with torch.no_grad():
        assert SuperPoint(config)(torch.zeros(1, 1, 24, 40)).fine.shape == (1, 256, 6, 10)


def test_each_head_has_its_width():
    layers = SuperPointConfig(head_channels=(16, 24)).layers
    assert (layers['convPa'].channels, layers['convDa'].channels) == (16, 24)
    assert SuperPointConfig(head_channels=24) == SuperPointConfig(head_channels=(24, 24))


@pytest.mark.parametrize('name', sorted(CONFIGURATIONS))
def test_output_is_one_vector_a_cell(name):
    config = CONFIGURATIONS[name]
    with torch.no_grad():
        output = SuperPoint(config)(torch.zeros(2, 1, 24, 40))
    assert output.logits.shape == (2, 65, 3, 5)
    assert output.descriptors.shape == (2, config.descriptor_size, 3, 5)
    if config.fine_channels:
        assert output.fine.shape == (2, config.descriptor_size, 6, 10)
    else:
        assert output.fine is None


@pytest.mark.parametrize('name', sorted(CONFIGURATIONS))
def test_folded_batch_norm_computes_the_same_also_at_the_border(name):
    model = with_lively_norms(replace(CONFIGURATIONS[name], normalization='before_relu'))
    folded = fold_batch_norm(model)
    assert folded.config == CONFIGURATIONS[name]
    assert not any('bn' in key for key in folded.state_dict())
    image = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for expected, got in zip(model(image).parts, folded(image).parts, strict=True):
            scale = expected.abs().max()
            assert torch.allclose(got, expected, atol=1e-5 * scale)


def test_batch_norm_after_relu_is_not_folded_wrongly():
    with pytest.raises(ValueError, match='cannot be folded exactly'):
        fold_batch_norm(SuperPoint(replace(COMPACT, normalization='after_relu')))


@pytest.mark.parametrize('shape', [(1, 1, 30, 40), (1, 1, 32, 36), (1, 3, 32, 32), (1, 32, 32)])
def test_a_wrong_image_shape_is_named(shape):
    with pytest.raises(ValueError, match='multiples of 8; got'):
        SuperPoint(COMPACT)(torch.zeros(shape))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'stage_channels': (1, 2, 3)}, 'stage_channels must be a list of 4 whole numbers'),
        ({'stage_layers': 2}, 'stage_layers must be a list of 4 whole numbers from 1 to 4, got 2'),
        ({'head_channels': 0}, 'head_channels must lie between 1 and 4096'),
        ({'head_channels': (8, 8, 8)}, 'head_channels must be a list of 2 whole numbers or a'),
        ({'normalization': 'layer'}, "got 'layer'"),
        ({'normalization_eps': 0.0}, 'normalization_eps must be greater than 0 and less than 1'),
        ({'stage_layers': (2, 2, 0, 2)}, r'stage_layers must lie between 1 and 4, got \(2, 2, 0'),
        ({'downsampling': 'none'}, "downsampling must be one of pooling, stride; got 'none'"),
        ({'fine_channels': -1}, 'fine_channels must lie between 0 and 4096'),
    ],
)
def test_a_wrong_configuration_is_named(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        SuperPointConfig(**changes)
