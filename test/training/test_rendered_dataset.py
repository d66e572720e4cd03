# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Training on rendered pairs: correspondences are exact, and occluded points have none."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.cli.main import main
from superpoint_ros.data.scenes.correspondences import DepthView
from superpoint_ros.data.scenes.pair_cache import PairCache
from superpoint_ros.data.scenes.pairs import PairSettings, RenderedPair
from superpoint_ros.data.scenes.ray_casting import PinholeCamera, RenderedView
from superpoint_ros.training.lightning_modules import SuperPointModule
from superpoint_ros.training.pair_dataset import HomographyPairDataset
from superpoint_ros.training.rendered_dataset import (
    make_pair_dataset,
    map_points,
    RenderedPairDataset,
)
from superpoint_ros.training.training_recipes import SuperPointRecipe
from support.training_runs import assert_same_state, kill_in_step, write_photographs

CAMERA = PinholeCamera(120.0, 160, 120)


def texture_pair(seed):
    """Return two views of a wall 3 m away; the camera moves by 0.25 m, which are 10 px."""
    rng = np.random.default_rng(seed)
    wall = cv2.GaussianBlur(rng.uniform(0, 255, (120, 170)).astype(np.float32), (0, 0), 2)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    depth = np.full((120, 160), 3.0, np.float32)
    pose = np.eye(4)
    pose[0, 3] = -0.25
    views = [RenderedView(np.ascontiguousarray(wall[:, s : s + 160]), depth) for s in (0, 10)]
    return RenderedPair(*views, CAMERA, pose, 'wall')


@pytest.fixture(scope='module')
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mixed')
    images, _ = write_photographs(folder)
    cache = PairCache(folder / 'pairs', PairSettings(160, 120), {})
    for number in range(3):
        cache.write(number, texture_pair(number))
    return SuperPointRecipe(
        network='compact',
        images=str(images),
        detector_targets='repeatability',
        pairs=str(folder / 'pairs'),
        rendered=0.5,
        width=96,
        height=64,
        points=64,
        augmented=0.0,
        shapes=0.0,
    )


def gray_at(image, points):
    """Return the gray levels of an image at points (N, 2)."""
    x, y = points.astype(np.float32).T[..., None]
    return cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR).ravel()


def test_samples_of_rendered_pairs_are_like_those_of_photographs(recipe):
    rendered, photographs = RenderedPairDataset(recipe)[0], HomographyPairDataset(recipe)[0]
    assert {name: (v.shape, v.dtype) for name, v in rendered.items()} == {
        name: (v.shape, v.dtype) for name, v in photographs.items()
    }


def test_points_of_a_sample_show_the_same_texture_in_both_views(recipe):
    dataset = RenderedPairDataset(recipe)
    for index in range(8):
        sample = {name: value.numpy() for name, value in dataset[index].items()}
        valid = sample['valid']
        assert valid.sum() > 15
        a, b = (
            gray_at(image, points[valid])
            for image, points in zip(sample['images'], sample['points'], strict=True)
        )
        assert np.corrcoef(a, b)[0, 1] > 0.95


def test_keypoints_that_both_views_have_are_targets(recipe):
    dataset = RenderedPairDataset(recipe)
    chances = [1 - dataset[index]['targets'][:, 64] for index in range(8)]
    assert np.mean([(chance > 0.6).float().sum(dim=(1, 2)).mean() for chance in chances]) > 2


def test_an_occluded_point_has_no_position():
    near = np.full((120, 160), 3.0, np.float32)
    near[:, 80:] = 1.0
    far = np.full((120, 160), 3.0, np.float32)
    views = (np.eye(3), np.diag([2.0, 2.0, 1.0]))
    depth_views = (DepthView(far, CAMERA.matrix), DepthView(near, CAMERA.matrix))
    positions = map_points(views, depth_views, np.eye(4), np.array([[30.0, 50], [100, 50]]))
    assert positions[0] == pytest.approx([60, 100])
    assert np.isnan(positions[1]).all()


def test_the_share_of_rendered_pairs_is_that_of_the_recipe(recipe):
    few = make_pair_dataset(replace(recipe, rendered=0.25))
    rendered = RenderedPairDataset(recipe)
    same = [torch.equal(few[index]['images'], rendered[index]['images']) for index in range(60)]
    assert 8 <= sum(same) <= 23
    assert isinstance(make_pair_dataset(replace(recipe, rendered=0.0)), HomographyPairDataset)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'pairs': ''}, 'name the folder of the rendered pairs: --pairs DIR'),
        (
            {'detector_targets': 'pseudo_labels', 'labels': 'x'},
            'rendered pairs have no pseudo labels',
        ),
        ({'rendered': 1.5}, 'rendered'),
    ],
)
def test_recipes_that_cannot_be_are_refused(recipe, values, message):
    with pytest.raises(ValueError, match=message):
        replace(recipe, **values)


def test_pairs_without_their_share_are_named(tmp_path, capsys):
    folders = ['--images', str(tmp_path / 'none'), '--pairs', 'PAIRS', '--out', str(tmp_path)]
    for recipe, named in (('repeatability', True), ('rendered', False)):
        assert main(['train', 'superpoint', '--recipe', recipe, *folders]) == 2
        said = capsys.readouterr().err
        assert ('the pairs in PAIRS are not used: the share of' in said) == named


def test_too_few_pairs_and_an_empty_folder_are_refused(recipe, tmp_path):
    with pytest.raises(ValueError, match='holds 3 rendered pairs, and rendered_count is 4'):
        RenderedPairDataset(replace(recipe, rendered_count=4))
    with pytest.raises(ValueError, match='holds no rendered pairs'):
        RenderedPairDataset(replace(recipe, pairs=str(tmp_path)))


def test_a_run_on_mixed_pairs_resumes_exactly_with_another_number_of_workers(recipe, tmp_path):
    options = ['--recipe', 'repeatability', '--images', recipe.images, '--pairs', recipe.pairs]
    options += ['--rendered', '0.5', '--width', '96', '--height', '64', '--points', '32']
    options += ['--batch', '2', '--max_steps', '3', '--validate_every', '100']
    options += ['--stage_channels', '[8, 8, 8, 8]', '--precision', '32-true']
    options += ['--checkpoint_minutes', '1e-9', '--accelerator', 'cpu', '--devices', '1']
    command = ['train', 'superpoint', *options]
    whole, parts = tmp_path / 'whole', [*command, '--out', str(tmp_path / 'parts')]
    assert main([*command, '--workers', '0', '--out', str(whole)]) == 0
    kill_in_step(2, SuperPointModule, [*parts, '--workers', '1'])
    assert main([*parts, '--workers', '0', '--resume']) == 0
    assert_same_state(whole, tmp_path / 'parts')
