# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Dead channels are removed, and the output does not change."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings, strategies
import numpy as np
import pytest
import torch

from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.pruning import add_dead_channels, remove_dead_channels
from superpoint_ros.model.superpoint import build_network, SuperPoint
from support.engines import cpu_engine

SMALL = SuperPointConfig(stage_channels=(4, 6, 8, 10), head_channels=12, descriptor_size=16)
STRIDED = replace(SMALL, stage_layers=(1, 1, 2, 3), downsampling='stride')
FINE = replace(SMALL, fine_channels=7)


def network(config: SuperPointConfig = SMALL, seed: int = 0) -> SuperPoint:
    torch.manual_seed(seed)
    return SuperPoint(config).eval()


def outputs(model: SuperPoint) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand((2, 1, 40, 48), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(image).parts


def make_dead(model: SuperPoint, name: str, channels: list[int]) -> None:
    with torch.no_grad():
        getattr(model, name).weight[channels] = 0
        getattr(model, name).bias[channels] = -0.25


@settings(deadline=None, max_examples=25)
@given(data=strategies.data(), config=strategies.sampled_from([SMALL, STRIDED, FINE]))
def test_removing_dead_channels_keeps_the_outputs(data, config):
    model = network(config)
    for name in config.hidden:
        channels = range(getattr(model, name).out_channels)
        dead = data.draw(strategies.sets(strategies.sampled_from(channels)), label=name)
        make_dead(model, name, sorted(dead)[1:])  # one always stays
    result = remove_dead_channels(model)
    torch.testing.assert_close(outputs(result), outputs(model), rtol=1e-4, atol=1e-5)


def test_layers_of_a_stage_are_as_wide_as_the_widest_and_each_head_has_its_width():
    model = network()
    make_dead(model, 'conv2a', [0, 3, 5])
    make_dead(model, 'conv2b', [1])
    make_dead(model, 'convPa', [0, 1])
    make_dead(model, 'convDa', [7, 8, 11])
    config = remove_dead_channels(model).config
    assert config == replace(SMALL, stage_channels=(4, 5, 8, 10), head_channels=(10, 9))


def test_a_network_of_dead_channels_only_runs():
    model = network()
    for name in SMALL.hidden:
        make_dead(model, name, list(range(getattr(model, name).out_channels)))
    result = remove_dead_channels(model)
    assert result.config == replace(SMALL, stage_channels=(1, 1, 1, 1), head_channels=1)
    torch.testing.assert_close(outputs(result), outputs(model))


def test_a_channel_with_a_positive_bias_is_not_dead():
    model = network()
    with torch.no_grad():
        model.conv1a.weight[0] = 0
        model.conv1a.bias[0] = 0.5
        model.conv1b.weight[0] = 0
        model.conv1b.bias[0] = 0.5
    assert remove_dead_channels(model) is model


def test_adding_dead_channels_keeps_the_outputs():
    narrow = network(replace(FINE, stage_channels=(2, 6, 5, 10), fine_channels=4))
    wide = add_dead_channels(narrow, FINE)
    assert wide.config == FINE
    torch.testing.assert_close(outputs(wide), outputs(narrow), rtol=1e-4, atol=1e-5)
    back = remove_dead_channels(wide)
    assert back.config == narrow.config
    for name, value in narrow.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name


@pytest.mark.parametrize(
    ('config', 'what'),
    [
        (replace(SMALL, stage_channels=(4, 6, 7, 10)), 'cannot narrow conv3a'),
        (replace(SMALL, descriptor_size=24), 'cannot widen 16-d descriptors'),
        (STRIDED, r'\(2, 2, 2, 2\) layers with pooling; \(1, 1, 2, 3\) layers with stride'),
        (FINE, r'layers with pooling; .* with pooling and fine descriptors'),
    ],
)
def test_widening_names_what_does_not_fit(config: SuperPointConfig, what: str):
    with pytest.raises(ValueError, match=what):
        add_dead_channels(network(), config)


def test_batch_norms_are_folded_before_dead_channels_are_removed():
    model = network(replace(SMALL, normalization='before_relu'))
    with torch.no_grad():
        model.bn1a.weight[:2] = 0
        model.bn1a.bias[:2] = -1
        model.bn1b.weight[1:3] = 0
        model.bn1b.bias[1:3] = 0
    result = NetworkArrays.of(model).prepare_for_inference()
    assert result.config == replace(SMALL, stage_channels=(2, 6, 8, 10))
    found = outputs(build_network(result))
    torch.testing.assert_close(found, outputs(model), rtol=1e-4, atol=1e-5)
    after = NetworkArrays.of(network(replace(SMALL, normalization='after_relu')))
    assert after.prepare_for_inference() is after


@pytest.mark.parametrize('engine', ['torch', 'openvino', 'onnxruntime'])
def test_engines_run_without_dead_channels(engine: str):
    if engine != 'torch':
        pytest.importorskip(engine, reason=f'{engine} is not installed')
    narrow = network(replace(FINE, stage_channels=(2, 6, 5, 10), fine_channels=4))
    images = np.random.default_rng(0).integers(0, 256, (1, 1, 32, 48), dtype=np.uint8)
    found = [
        cpu_engine(model, 'float32', engine).infer(torch.from_numpy(images))
        for model in (narrow, add_dead_channels(narrow, FINE))
    ]
    for a, b in zip(*(output.parts for output in found), strict=True):
        assert torch.equal(a, b)  # the same numbers: the same network runs
