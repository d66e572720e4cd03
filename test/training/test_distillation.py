# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Distillation: descriptors of several scales, and a run that learns them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.model.config import COMPACT, SuperPointConfig
from superpoint_ros.model.network_arrays import WeightsError
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata
from superpoint_ros.resources import share_directory
from superpoint_ros.training.distillation import (
    cosine_loss,
    DistillationLoss,
    procrustes_loss,
)
from superpoint_ros.training.lightning_modules import SuperPointModule
from superpoint_ros.training.losses import StepOutput
from superpoint_ros.training.trainer import train
from superpoint_ros.training.training_recipes import SuperPointRecipe
from support.training_runs import SHORT_RUN, write_photographs

TINY = SuperPointConfig((4, 6, 8, 10), 12, 16)


def saved(path, config=TINY, **metadata):
    torch.manual_seed(0)
    network = SuperPoint(config).eval()
    save_weights(path, network, WeightsMetadata(**metadata))
    return network


@pytest.mark.parametrize('scales', [1, 2, 3])
def test_distilled_descriptors_are_the_mean_of_some_scales(tmp_path, scales):
    network = saved(tmp_path / 'teacher.safetensors')
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 1, 64, 128, generator=generator)
    points = torch.rand(2, 30, 2, generator=generator) * torch.tensor([127.0, 63.0])
    loss = DistillationLoss(tmp_path / 'teacher.safetensors', 16, scales)
    larger = torch.nn.functional.interpolate(images, (88, 176), mode='bicubic')
    seen = [(images, 1.0), (larger, 1.375), (torch.nn.functional.avg_pool2d(images, 2), 0.5)]
    with torch.no_grad():
        described = [
            sample_descriptors(network(view), (points + 0.5) * factor - 0.5)
            for view, factor in seen
        ]
    total = sum(
        weight * each for weight, each in list(zip((1, 1, 0.5), described, strict=True))[:scales]
    )
    found = loss.infer(images, points)
    # The engine takes gray levels, and may compute in bfloat16.
    expected = torch.nn.functional.normalize(total, dim=2)
    assert (found.descriptors * expected).sum(dim=2).min() > 0.995
    # Descriptors of random weights differ little: what matters is how they vary over the points.
    varying = [each - each.mean(dim=1, keepdim=True) for each in (found.descriptors, expected)]
    assert torch.cosine_similarity(*(each.flatten() for each in varying), dim=0) > 0.98
    torch.testing.assert_close(found.descriptors.norm(dim=2), torch.ones(2, 30))
    with torch.no_grad():
        expected = network(images).logits
    torch.testing.assert_close(found.logits, expected, atol=0.02, rtol=0.02)


def test_the_detector_learns_the_probabilities_of_the_cells_that_show_the_scene(tmp_path):
    teacher = saved(tmp_path / 'teacher.safetensors')
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (2, 1, 32, 48), generator=generator) / 255
    batch = {
        'points': torch.zeros(1, 2, 3, 2),
        'valid': torch.zeros(1, 3, dtype=torch.bool),
        'shown': torch.ones(1, 2, 4, 6, dtype=torch.bool),
    }
    with torch.no_grad():
        same = teacher(images)
    loss = DistillationLoss(tmp_path / 'teacher.safetensors', 16, 1, detector_weight=0.5)
    least = loss(StepOutput(teacher, images, same, batch))
    entropy = -(same.logits.softmax(1) * same.logits.log_softmax(1)).sum(1)
    assert least.item() == pytest.approx(0.5 * entropy.mean().item(), rel=1e-2)
    changed = same._replace(logits=same.logits.clone())
    changed.logits[:, 3, 0] += 2
    assert loss(StepOutput(teacher, images, changed, batch)) > least
    # Cells that show something else do not count.
    batch['shown'][:, :, 0] = False
    unseen = loss(StepOutput(teacher, images, changed, batch)).item()
    assert unseen == pytest.approx(0.5 * entropy[:, 1:].mean().item(), rel=1e-2)


def test_the_distillation_loss_is_the_mean_distance_of_valid_points():
    targets = torch.tensor([[[1.0, 0], [0, 1], [1, 0]]])
    descriptors = torch.tensor([[[1.0, 0], [0.8, 0.6], [-1, 0]]])
    assert cosine_loss(descriptors, targets, torch.tensor([[True, True, True]])).item() == (
        pytest.approx((0 + 0.4 + 2) / 3)
    )
    assert cosine_loss(descriptors, targets, torch.tensor([[True, True, False]])).item() == (
        pytest.approx(0.2)
    )
    assert cosine_loss(descriptors, targets, torch.zeros(1, 3, dtype=torch.bool)).item() == 0


def test_shorter_descriptors_learn_the_similarities_of_longer_ones_up_to_a_rotation():
    generator = torch.Generator().manual_seed(0)
    short = torch.nn.functional.normalize(torch.randn(2, 40, 4, generator=generator), dim=2)
    rotation = torch.linalg.qr(torch.randn(9, 9, generator=generator)).Q[:4]
    valid = torch.ones(2, 40, dtype=torch.bool)
    assert procrustes_loss(short, short @ rotation, valid).item() == pytest.approx(0, abs=1e-5)
    other = torch.nn.functional.normalize(torch.randn(2, 40, 4, generator=generator), dim=2)
    assert procrustes_loss(other, short @ rotation, valid).item() > 0.5
    # Points that are not valid do not count.
    valid[1] = False
    mixed = torch.stack([short[0], other[1]])
    assert procrustes_loss(mixed, short @ rotation, valid).item() == pytest.approx(0, abs=1e-5)
    assert procrustes_loss(other, short @ rotation, torch.zeros_like(valid)).item() == 0


def test_the_best_rotation_has_the_smallest_distance():
    generator = torch.Generator().manual_seed(1)
    short = torch.nn.functional.normalize(torch.randn(1, 50, 3, generator=generator), dim=2)
    targets = torch.nn.functional.normalize(torch.randn(1, 50, 8, generator=generator), dim=2)
    valid = torch.ones(1, 50, dtype=torch.bool)
    best = procrustes_loss(short, targets, valid).item()
    for _ in range(20):
        rotation = torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q[:3]
        assert cosine_loss(short @ rotation, targets, valid).item() >= best


def test_shipped_weights_are_distilled_by_their_name():
    path = share_directory() / 'models' / 'superpoint_nano.safetensors'
    by_name, by_path = (DistillationLoss(name, 16).network for name in ('superpoint_nano', path))
    assert by_name.config == by_path.config
    np.testing.assert_array_equal(by_name.arrays['conv1a.weight'], by_path.arrays['conv1a.weight'])


def test_weights_that_cannot_be_distilled_are_named(tmp_path):
    path = tmp_path / 'weights.safetensors'
    saved(path)
    with pytest.raises(ValueError, match='have 16 components, and at least 128 are needed'):
        DistillationLoss(path, 128)
    saved(path, descriptors_trained=False)
    with pytest.raises(ValueError, match='its descriptors are untrained'):
        DistillationLoss(path, 16)
    with pytest.raises(FileNotFoundError, match='missing.safetensors'):
        DistillationLoss(tmp_path / 'missing.safetensors', 16)
    (tmp_path / 'text.safetensors').write_text('no weights')
    with pytest.raises(WeightsError, match='text.safetensors'):
        DistillationLoss(tmp_path / 'text.safetensors', 16)


def test_a_run_with_distillation_does_not_change_the_teacher(tmp_path):
    images, _ = write_photographs(tmp_path)
    teacher = tmp_path / 'teacher.safetensors'
    saved(teacher, COMPACT)
    recipe = SuperPointRecipe(
        images=str(images),
        detector_targets='repeatability',
        distill_from=str(teacher),
        detector_distillation=0.1,
        stage_channels=[8, 8, 8, 8],
        head_channels=8,
        **SHORT_RUN | {'network': 'nano', 'max_steps': 2},
    )
    before = teacher.read_bytes()
    module = SuperPointModule(recipe, tmp_path / 'run')
    logged = {}
    log = module.log
    module.log = lambda name, value, **more: (
        logged.update({name: value}),
        log(name, value, **more),
    )
    train(module, tmp_path / 'run', accelerator='cpu')
    assert 0 < logged['train/distillation'] < 2
    assert teacher.read_bytes() == before
    assert not [name for name in module.state_dict() if not name.startswith('network.')]
    expected = (
        logged['train/detector']
        + recipe.descriptor_weight * logged['train/descriptor']
        + recipe.distillation_weight * logged['train/distillation']
    )
    assert logged['train/loss'].item() == pytest.approx(expected.item(), rel=1e-4)
