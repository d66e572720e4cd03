# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A step of joint training: the parts of its loss, and what it does to the network."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.detection.descriptors import average_scales, sample_descriptors
from superpoint_ros.model.config import SuperPointOutput
from superpoint_ros.training.lightning_modules import SuperPointModule
from superpoint_ros.training.losses import (
    cell_cross_entropy,
    contrastive_loss,
    hinge_loss,
    soft_cell_cross_entropy,
)


class Fixed(torch.nn.Module):
    """A network whose outputs are known, one after the other, whatever it sees."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs = outputs
        self.seen = []

    def forward(self, images):
        assert images.max() <= 1
        self.seen.append(images)
        return self.outputs[len(self.seen) - 1]


@pytest.mark.parametrize('detector', ['pseudo_labels', 'repeatability'])
@pytest.mark.parametrize('loss', ['contrastive', 'hinge'])
def test_the_training_loss_is_the_weighted_sum_of_its_parts_on_both_views(
    short_recipe, tmp_path, loss, detector
):
    changed = replace(
        short_recipe,
        detector_targets=detector,
        descriptor_loss=loss,
        descriptor_weight=0.7,
        precision='32-true',
    )
    module = SuperPointModule(changed, tmp_path)
    samples = module.dataset()
    batch = torch.utils.data.default_collate([samples[0], samples[1]])
    generator = torch.Generator().manual_seed(0)
    output = SuperPointOutput(
        torch.randn(4, 65, 6, 8, generator=generator), torch.randn(4, 5, 6, 8, generator=generator)
    )
    module.network = Fixed(output)
    module.log = lambda *_, **__: None
    got = module.training_step(batch, 0)

    # Pairs come one after the other in a batch; the network gets all A, then all B.
    a, b = (batch['images'][:, i].float()[:, None] / 255 for i in (0, 1))
    (seen,) = module.network.seen
    assert torch.equal(seen, torch.cat([a, b]))
    expected_targets = {
        name: torch.cat([batch[name][:, 0], batch[name][:, 1]])
        for name in batch
        if name in ('labels', 'targets', 'known')
    }
    if detector == 'pseudo_labels':
        expected = cell_cross_entropy(output.logits, expected_targets['labels'])
    else:
        expected = soft_cell_cross_entropy(
            output.logits, expected_targets['targets'], expected_targets['known']
        )
    maps = output.descriptors[:2], output.descriptors[2:]
    if loss == 'hinge':
        descriptor = hinge_loss(*maps, batch['cells_in_b'], batch['shown'][:, 1], 250.0)
    else:
        points = batch['points']
        points = points[:, 0], points[:, 1]
        sampled = [
            sample_descriptors(SuperPointOutput(None, each), where)
            for each, where in zip(maps, points, strict=True)
        ]
        descriptor = contrastive_loss(*sampled, *points, batch['valid'], 20.0)
    expected = expected + 0.7 * descriptor
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def train_on(module, outputs):
    """Return a batch and its descriptor loss in a training step with these network outputs."""
    samples = module.dataset()
    batch = torch.utils.data.default_collate([samples[0], samples[1]])
    module.network = Fixed(*outputs)
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: value})
    module.training_step(batch, 0)
    return batch, logged['train/descriptor'].item()


def test_the_contrastive_loss_describes_points_at_one_scale_and_at_several(short_recipe, tmp_path):
    module = SuperPointModule(
        replace(short_recipe, precision='32-true', descriptor_scales=2), tmp_path
    )
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 65, 6, 8, generator=generator)
    maps = [torch.randn(4, 5, *size, generator=generator) for size in ((6, 8), (3, 4))]
    outputs = [SuperPointOutput(logits, each) for each in maps]
    batch, descriptor_loss = train_on(module, outputs)

    seen = module.network.seen
    assert torch.allclose(seen[1], torch.nn.functional.avg_pool2d(seen[0], 2))
    points = [batch['points'][:, i] for i in (0, 1)]
    sampled = [
        [
            sample_descriptors(SuperPointOutput(None, maps[0][i : i + 2]), where),
            sample_descriptors(SuperPointOutput(None, maps[1][i : i + 2]), where / 2 - 0.25),
        ]
        for i, where in zip((0, 2), points, strict=True)
    ]
    expected = [
        contrastive_loss(*descriptors, *points, batch['valid'], 20.0)
        for descriptors in (
            [of_scales[0] for of_scales in sampled],
            [average_scales(of_scales) for of_scales in sampled],
        )
    ]
    assert descriptor_loss == pytest.approx(sum(expected).item() / 2, rel=1e-5)


def test_descriptors_without_their_fine_part_are_trained_with_a_weight(short_recipe, tmp_path):
    module = SuperPointModule(
        replace(short_recipe, precision='32-true', coarse_descriptor_weight=0.4), tmp_path
    )
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 65, 6, 8, generator=generator)
    coarse = torch.randn(4, 5, 6, 8, generator=generator)
    fine = torch.randn(4, 5, 12, 16, generator=generator)
    batch, descriptor_loss = train_on(module, [SuperPointOutput(logits, coarse, fine)])

    points = [batch['points'][:, i] for i in (0, 1)]
    a, b = (SuperPointOutput(None, coarse[i : i + 2], fine[i : i + 2]) for i in (0, 2))
    whole, alone = (
        contrastive_loss(
            *map(sample_descriptors, views, points), *points, batch['valid'], temperature=20.0
        )
        for views in ((a, b), (a._replace(fine=None), b._replace(fine=None)))
    )
    expected = (whole + 0.4 * alone).item()
    assert descriptor_loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('batch_norm', [True, False])
def test_joint_training_lowers_the_loss_on_its_pairs(short_recipe, tmp_path, batch_norm):
    module = SuperPointModule(
        replace(short_recipe, precision='32-true', batch_norm=batch_norm), tmp_path
    )
    norms = [each for each in module.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    assert bool(norms) == batch_norm
    samples = module.dataset()
    batch = torch.utils.data.default_collate([samples[i] for i in range(4)])
    module.log = lambda *_, **__: None
    optimizer = torch.optim.Adam(module.network.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
