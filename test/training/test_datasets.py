# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Training data depend on the seed and the index of the sample only."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from superpoint_ros.model.config import DUSTBIN
from superpoint_ros.training.data_loading import endless_loader, Steps, VALIDATION
from superpoint_ros.training.shape_dataset import ShapeDataset
from superpoint_ros.training.training_recipes import MagicPointRecipe

RECIPE = MagicPointRecipe(width=64, height=48, seed=3)


def batches(workers, start, count):
    loader = endless_loader(ShapeDataset(RECIPE), Steps(4, start), workers)
    return list(islice(loader, count))


def test_batches_depend_neither_on_the_workers_nor_on_the_first_step():
    here = batches(workers=0, start=0, count=5)
    elsewhere = batches(workers=2, start=2, count=3)
    for expected, found in zip(here[2:], elsewhere, strict=True):
        assert torch.equal(expected['image'], found['image'])
        assert torch.equal(expected['labels'], found['labels'])
    assert not torch.equal(here[0]['image'], here[1]['image'])


def test_a_batch_of_shapes_has_gray_images_and_classes_of_cells():
    batch = batches(workers=0, start=0, count=1)[0]
    assert batch['image'].shape == (4, 1, 48, 64)
    assert batch['image'].dtype == torch.uint8
    assert batch['labels'].shape == (4, 6, 8)
    assert batch['labels'].dtype == torch.int64


def test_labels_lie_on_the_points_that_were_drawn():
    samples = ShapeDataset(RECIPE)
    for index in range(30):
        points = np.floor(samples.draw(samples.rng(index)).points + 0.5).astype(int)
        labels = samples[index]['labels'].numpy()
        rows, columns = np.nonzero(labels != DUSTBIN)
        classes = labels[rows, columns]
        labelled = set(zip(columns * 8 + classes % 8, rows * 8 + classes // 8, strict=True))
        assert labelled <= set(map(tuple, points.tolist()))
        assert {(x // 8, y // 8) for x, y in labelled} == {(x // 8, y // 8) for x, y in points}


def test_the_smallest_images_of_a_recipe_have_room_for_shapes():
    samples = ShapeDataset(MagicPointRecipe(width=32, height=32))
    shapes = [samples.draw(samples.rng(index)) for index in range(100)]
    assert {image.shape for image, _ in shapes} == {(32, 32)}
    assert sum(len(points) for _, points in shapes) > 100


def test_validation_images_of_shapes_are_not_training_images():
    training, validation = ShapeDataset(RECIPE)[0], ShapeDataset(RECIPE, VALIDATION)[0]
    assert not torch.equal(training['image'], validation['image'])


def test_another_seed_makes_other_images_of_shapes():
    other = ShapeDataset(replace(RECIPE, seed=4))
    assert not torch.equal(other[0]['image'], ShapeDataset(RECIPE)[0]['image'])


@pytest.mark.parametrize('step', [0, 5])
def test_processes_that_train_together_share_a_step_without_overlap(step):
    alone = next(iter(Steps(6, step)))
    shared = [next(iter(Steps(3, step, rank, 2))) for rank in (0, 1)]
    assert [*shared[0], *shared[1]] == alone == list(range(6 * step, 6 * step + 6))
