# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A teacher of descriptors, and a run that learns from one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.model.superpoint import COMPACT, SuperPoint, SuperPointConfig
from superpoint_ros.model.weights import save_weights, WeightsError, WeightsMetadata
from superpoint_ros.training.distillation import Teacher, teacher_loss
from superpoint_ros.training.superpoint_recipe import SuperPointRecipe
from superpoint_ros.training.superpoint_stage import SuperPointStage
from superpoint_ros.training.trainer import train

TINY = SuperPointConfig((4, 6, 8, 10), 12, 16)


def saved(path, config=TINY, **metadata):
    torch.manual_seed(0)
    network = SuperPoint(config).eval()
    save_weights(path, network, WeightsMetadata(**metadata))
    return network


def test_points_are_described_by_the_mean_of_three_sizes(tmp_path):
    network = saved(tmp_path / 'teacher.safetensors')
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 1, 64, 128, generator=generator)
    points = torch.rand(2, 30, 2, generator=generator) * torch.tensor([127.0, 63.0])
    described = Teacher(tmp_path / 'teacher.safetensors', 16).describe(images, points)
    halved = torch.nn.functional.avg_pool2d(images, 2)
    larger = torch.nn.functional.interpolate(images, (88, 176), mode='bicubic')
    for i in (0, 1):
        with torch.no_grad():
            fine, same, coarse = (
                sample_descriptors(
                    network(seen[i : i + 1]).descriptors[0], (points[i] + 0.5) * factor - 0.5
                )
                for seen, factor in ((larger, 1.375), (images, 1.0), (halved, 0.5))
            )
        total = fine + same + coarse / 2
        expected = total / total.norm(dim=1, keepdim=True)
        torch.testing.assert_close(described[i], expected, atol=1e-5, rtol=0)


def test_the_loss_is_the_mean_distance_of_the_valid_points():
    taught = torch.tensor([[[1.0, 0], [0, 1], [1, 0]]])
    descriptors = torch.tensor([[[1.0, 0], [0.8, 0.6], [-1, 0]]])
    assert teacher_loss(descriptors, taught, torch.tensor([[True, True, True]])).item() == (
        pytest.approx((0 + 0.4 + 2) / 3)
    )
    assert teacher_loss(descriptors, taught, torch.tensor([[True, True, False]])).item() == (
        pytest.approx(0.2)
    )
    assert teacher_loss(descriptors, taught, torch.zeros(1, 3, dtype=torch.bool)).item() == 0


def test_what_is_no_teacher_is_named(tmp_path):
    path = tmp_path / 'weights.safetensors'
    saved(path)
    with pytest.raises(ValueError, match='have 16 components, and 128 are needed'):
        Teacher(path, 128)
    saved(path, descriptors_trained=False)
    with pytest.raises(ValueError, match='it has learned nothing of descriptors'):
        Teacher(path, 16)
    with pytest.raises(FileNotFoundError, match='missing.safetensors'):
        Teacher(tmp_path / 'missing.safetensors', 16)
    (tmp_path / 'text.safetensors').write_text('no weights')
    with pytest.raises(WeightsError, match='text.safetensors'):
        Teacher(tmp_path / 'text.safetensors', 16)


def test_a_run_learns_from_a_teacher_and_leaves_it_as_it_is(write_photographs, tmp_path):
    images, _ = write_photographs(tmp_path)
    teacher = tmp_path / 'teacher.safetensors'
    saved(teacher, COMPACT)
    recipe = SuperPointRecipe(
        images=str(images),
        detector='repeats',
        network='compact',
        batch=2,
        width=64,
        height=48,
        points=16,
        workers=0,
        max_steps=2,
        validation_images=1,
        teacher=str(teacher),
        stage_channels=[8, 8, 8, 8],
        head_channels=8,
    )
    before = teacher.read_bytes()
    module = SuperPointStage(recipe, tmp_path / 'run')
    logged = {}
    log = module.log
    module.log = lambda name, value, **more: (
        logged.update({name: value}),
        log(name, value, **more),
    )
    train(module, recipe, tmp_path / 'run', accelerator='cpu')
    assert 0 < logged['train/teacher'] < 2
    assert teacher.read_bytes() == before
    assert not [name for name in module.state_dict() if 'teacher' in name]
    expected = (
        logged['train/detector']
        + recipe.descriptor_weight * logged['train/descriptor']
        + recipe.teacher_weight * logged['train/teacher']
    )
    assert logged['train/loss'].item() == pytest.approx(expected.item(), rel=1e-4)
    with pytest.raises(ValueError, match='teacher_weight must be 0 or more'):
        replace(recipe, teacher_weight=-1.0)
