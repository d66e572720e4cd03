# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Each loss is what a slow loop makes of the paper's formula."""

import math

import pytest
import torch

from superpoint_ros.training.cell_labels import DUSTBIN, IGNORED
from superpoint_ros.training.losses import detector_loss


def example(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 65, 3, 4, generator=generator)
    labels = torch.randint(0, 65, (2, 3, 4), generator=generator)
    return logits, labels


def test_the_detector_loss_is_the_papers_formula():
    logits, labels = example()
    labels[0, 1, 2] = labels[1, 0, 0] = IGNORED
    total, count = 0.0, 0
    for image in range(2):
        for row in range(3):
            for column in range(4):
                label = int(labels[image, row, column])
                if label == IGNORED:
                    continue
                cell = logits[image, :, row, column].tolist()
                total -= math.log(math.exp(cell[label]) / sum(math.exp(value) for value in cell))
                count += 1
    assert count == 22
    assert detector_loss(logits, labels).item() == pytest.approx(total / count, rel=1e-5)


def test_ignored_cells_have_no_gradient():
    logits, labels = example()
    labels[0] = IGNORED
    logits.requires_grad_()
    detector_loss(logits, labels).backward()
    assert logits.grad[0].abs().max() == 0
    assert logits.grad[1].abs().max() > 0


def test_where_all_cells_are_ignored_the_loss_is_zero():
    logits, labels = example()
    assert detector_loss(logits, torch.full_like(labels, IGNORED)).item() == 0


def test_great_logits_do_not_overflow():
    logits = torch.zeros(1, 65, 1, 1)
    logits[0, DUSTBIN] = 1e4
    label = torch.full((1, 1, 1), DUSTBIN)
    assert detector_loss(logits, label).item() == 0
    assert detector_loss(logits, torch.zeros_like(label)).item() == pytest.approx(1e4)


def test_the_loss_is_float32_also_of_half_precision():
    logits, labels = example()
    loss = detector_loss(logits.bfloat16(), labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(detector_loss(logits, labels).item(), rel=0.01)


def test_shapes_that_do_not_fit_are_named():
    logits, labels = example()
    with pytest.raises(ValueError, match=r'labels \(2, 3, 3\)'):
        detector_loss(logits, labels[..., :3])
    with pytest.raises(ValueError, match='65'):
        detector_loss(logits[:, :64], labels)
