# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Recipes are checked before training starts."""

from dataclasses import asdict, replace

import pytest

pytest.importorskip('jsonargparse', reason="needs the extra 'train'")

import yaml

from superpoint_ros.resources import RECIPES
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.recipe_files import (
    check_same_recipe,
    read_recipe,
    recipe_as_yaml,
    recipe_path,
    shipped_recipes,
)
from superpoint_ros.training.training_recipes import MagicPointRecipe, SuperPointRecipe


def write(tmp_path, text):
    path = tmp_path / 'recipe.yaml'
    path.write_text(text)
    return path


def read(tmp_path, text, *overrides):
    return read_recipe(MagicPointRecipe, write(tmp_path, text), overrides)


def test_the_shipped_recipes_can_be_read():
    assert shipped_recipes('magicpoint') == ['cpu', 'paper']
    paper = read_recipe(MagicPointRecipe, recipe_path('magicpoint', 'paper'))
    assert (paper.network, paper.max_steps, paper.batch) == ('paper', 200_000, 32)
    assert (paper.learning_rate, paper.beta1, paper.beta2) == (1e-3, 0.9, 0.999)
    assert (paper.width, paper.height, paper.weight_decay) == (160, 120, 0)
    cpu = read_recipe(MagicPointRecipe, recipe_path('magicpoint', 'cpu'))
    assert (cpu.network, cpu.precision, cpu.channels_last) == ('compact', 'bf16-mixed', True)


def test_the_recipes_of_corners_belong_together():
    labels = read_recipe(AdaptationRecipe, recipe_path('adapt', 'corners'))
    assert (labels.network, labels.corners, labels.longest_side) == (False, 1.0, 0)
    training = read_recipe(
        SuperPointRecipe, recipe_path('superpoint', 'corners'), ['--images=a', '--labels=b']
    )
    # Some labels are certain, others uncertain.
    assert labels.threshold < training.min_score < 1


def test_recipe_values_come_from_the_command_line_then_the_file_then_the_defaults(tmp_path):
    recipe = read(tmp_path, 'batch: 4\nmax_steps: 7\n', '--max_steps', '9')
    assert (recipe.max_steps, recipe.batch, recipe.seed) == (9, 4, 0)


def test_names_of_recipe_values_may_have_hyphens_and_dots(tmp_path):
    recipe = read(tmp_path, '', '--learning-rate=0.5', '--homography.max-rotation', '30')
    assert recipe.learning_rate == 0.5
    assert recipe.homography.max_rotation == 30
    assert recipe.homography.min_scale == MagicPointRecipe().homography.min_scale


def test_a_written_recipe_is_read_back_equal(tmp_path):
    recipe = read(tmp_path, 'batch: 3\n', '--photometric.max_noise', '1.5')
    assert read(tmp_path, recipe_as_yaml(recipe)) == recipe


@pytest.mark.parametrize(
    ('text', 'overrides', 'named'),
    [
        ('batches: 4', ('--batch', '8'), 'recipe.yaml cannot be used: .*batches'),
        ('homography:\n  turn: 4', (), 'turn'),
        ('batch: many', (), 'batch'),
        ('network: tiny', (), 'network'),
        ('stage_channels: [8, 8, 8]', (), 'stage_channels must be four whole numbers'),
        ('stage_channels: [8, 8, 8, 300]', (), r'at most \[64, 64, 128, 128\]'),
        (
            'head_channels: 257',
            (),
            r'head_channels must be 0 \(all\) or at most 256 for network paper, got 257',
        ),
        ('batch: 0', (), 'batch must lie between 1 and 1000000000, got 0'),
        ('width: 100', (), 'width must be a multiple of 8'),
        ('network: 3', (), "recipe.yaml cannot be used: network must be one of .* got '3'"),
        (
            'batch: 3\nprecision:',
            (),
            'recipe.yaml cannot be used: precision must be one of .* got None',
        ),
        ('decay: 1.5', (), 'decay must lie between 0 and 1, got 1.5'),
        ('learning_rate: .nan', (), 'learning_rate must be greater than 0 and at most 1, got nan'),
        ('', ('--learning_rate', '.inf'), 'greater than 0 and at most 1, got inf'),
        ('', ('--learning_rate', '-1'), 'greater than 0 and at most 1, got -1.0'),
        ('', ('--learning_rate', '1e300'), r'greater than 0 and at most 1, got 1e\+300'),
        (
            '',
            ('--learning_rate', 'fast'),
            "learning_rate must be a number and greater than 0 and at most 1, got 'fast'",
        ),
        ('batch: 1.5', (), "used: batch must be a whole number from 1 to 1000000000, got '1.5'"),
        ('', ('--max_steps', '.inf'), "max_steps must be a whole number from .*, got 'inf'"),
        ('', ('--seed', '9' * 20), 'seed must lie between 0 and 9223372036854775807, got 9999'),
        ('checkpoint_minutes: 1e300', (), 'checkpoint_minutes must lie between 0 and 1000000'),
        (
            '',
            ('--homography.max_rotation', 'far'),
            "homography.max_rotation must be a number from 0.0 to 180.0, got 'far'",
        ),
        ('photometric:\n  max_noise: -1', (), 'max_noise'),
        ('', ('--bath', '8'), '^these options cannot be used: .*bath'),
        ('batch: 8', ('--batch', 'x'), '^these options cannot be used: .*batch'),
        ('batch: [', (), 'recipe.yaml is not YAML'),
        ('just words', (), "must be lines of 'name: value', got 'just words'"),
    ],
)
def test_a_wrong_recipe_value_is_named(tmp_path, text, overrides, named):
    with pytest.raises(ValueError, match=named):
        read(tmp_path, text, *overrides)


def test_an_unknown_recipe_is_refused_with_the_names_of_the_shipped_ones():
    with pytest.raises(FileNotFoundError, match='quick: name a YAML file or one of cpu, paper'):
        recipe_path('magicpoint', 'quick')


def test_a_checkpoint_of_another_recipe_is_refused_by_the_values_that_differ():
    recorded = asdict(MagicPointRecipe())
    check_same_recipe(recorded, MagicPointRecipe(workers=5, validate_every=7), 'last.ckpt')
    other = MagicPointRecipe(batch=8, network='compact')
    with pytest.raises(ValueError, match="batch is 32 there and 8 here; network is 'paper' there"):
        check_same_recipe(recorded, other, 'last.ckpt')
    nested = replace(other, homography=replace(other.homography, max_rotation=1.0))
    with pytest.raises(ValueError, match='homography'):
        check_same_recipe(asdict(other), nested, 'last.ckpt')


@pytest.mark.parametrize('path', sorted(RECIPES.glob('*.yaml')), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_read_with_the_values_of_its_file(path):
    kinds = {'adapt': AdaptationRecipe, 'magicpoint': MagicPointRecipe}
    stage = path.stem.partition('_')[0]
    data = ['--images=a', '--labels=b', '--pairs=c'] if stage == 'superpoint' else []
    recipe = read_recipe(kinds.get(stage, SuperPointRecipe), path, data)
    values = yaml.safe_load(recipe_as_yaml(recipe))
    for name, written in yaml.safe_load(path.read_text()).items():
        group = values[name]
        assert (group | written if isinstance(group, dict) else written) == group


@pytest.mark.parametrize(
    ('name', 'channels'),
    [
        ('shipped_compact', [16, 16, 48, 96]),
        ('shipped_small', [16, 16, 48, 96]),
        ('shipped_large', [32, 48, 96, 128]),
        ('shipped_nano', []),
    ],
)
def test_the_recipes_of_the_shipped_weights_have_their_widths(name, channels):
    recipe = read_recipe(
        SuperPointRecipe, recipe_path('superpoint', name), ['--images=a', '--pairs=b']
    )
    assert recipe.detector_targets == 'repeatability'
    assert recipe.stage_channels == channels


@pytest.mark.parametrize(
    ('text', 'override', 'message'),
    [
        ('levels: 2', '', 'the recipe value levels was renamed: use descriptor_scales'),
        ('', '--teacher=a.safetensors', 'the recipe value teacher was renamed: use distill_from'),
        ('detector: repeats', '', r"use detector_targets \('pseudo_labels' for labels, 'repeat"),
        ('', '--least-score=0.3', 'the recipe value least_score was renamed: use min_score'),
    ],
)
def test_a_value_of_an_earlier_version_is_named_with_its_new_name(
    tmp_path, text, override, message
):
    with pytest.raises(ValueError, match=message):
        read_recipe(SuperPointRecipe, write(tmp_path, text), [override] if override else [])


def test_a_recipe_of_an_earlier_version_is_named_with_its_new_name():
    with pytest.raises(FileNotFoundError, match='repeats was renamed: use repeatability'):
        recipe_path('superpoint', 'repeats')


def test_a_checkpoint_of_an_earlier_version_is_refused_in_one_line():
    recorded = asdict(MagicPointRecipe()) | {'levels': 1}
    with pytest.raises(ValueError, match='written by another version .* --start last.ckpt'):
        check_same_recipe(recorded, MagicPointRecipe(), 'last.ckpt')


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ({'images': ''}, 'name the folder of the images: --images DIR'),
        ({'labels': ''}, 'name the folder of the labels: --labels DIR'),
        ({'points': 1}, 'points must be at least 2, got 1'),
        ({'temperature': 0.0}, 'temperature must be greater than 0'),
        ({'min_density': 0.0}, 'min_density must be greater than 0'),
        ({'max_density': 0.01}, 'min_density must be at most max_density, 0.01'),
        ({'descriptor_loss': 'triplet'}, 'descriptor_loss must be one of contrastive, hinge'),
        (
            {'descriptor_loss': 'hinge', 'descriptor_scales': 2},
            'descriptor_scales must be 1 for descriptor_loss hinge',
        ),
    ],
)
def test_a_wrong_value_of_joint_training_is_named(value, message):
    recipe = SuperPointRecipe(images='photos', labels='labels')
    with pytest.raises(ValueError, match=message):
        replace(recipe, **value)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'homographies': 0}, 'homographies must be at least 1, got 0'),
        ({'scales': ()}, 'scales must have at least one value'),
        ({'scales': (9.0,)}, r'scales must lie between 0.1 and 4.0, got \(9.0,\)'),
        ({'longest_side': 8}, 'longest_side must be 0 or at least 16'),
        ({'threshold': 2.0}, 'threshold must lie between'),
        ({'corners': -0.5}, 'corners must lie between 0 and 1, got -0.5'),
        ({'network': False}, 'without the network, corners must be greater than 0'),
    ],
)
def test_a_wrong_value_of_adaptation_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        AdaptationRecipe(**values)


PAIRS = SuperPointRecipe(
    images='photos', detector_targets='repeatability', pairs='pairs', max_density=1e3
)


@pytest.mark.parametrize(
    ('recipe', 'low', 'high', 'names'),
    [
        (MagicPointRecipe(), 0, 1, 'augmented weight_decay warm_up decay warped'),
        (MagicPointRecipe(), 0, None, 'head_channels seed workers checkpoint_minutes'),
        (MagicPointRecipe(), 0, None, 'gradient_clip beta1 beta2'),
        (
            MagicPointRecipe(),
            1,
            None,
            'max_steps batch validate_every validation_images log_every',
        ),
        (MagicPointRecipe(), 32, 8192, 'width height'),
        (PAIRS, 0, 1, 'min_score shapes rendered keypoint_share'),
        (PAIRS, 0, None, 'descriptor_weight coarse_descriptor_weight hinge_positive_weight'),
        (PAIRS, 0, None, 'distillation_weight detector_distillation'),
        (PAIRS, 0, 10**9, 'rendered_count'),
        (PAIRS, 0, 1000, 'rendered_rotation_sigma'),
        (PAIRS, 1, 10, 'rendered_max_scale'),
        (PAIRS, 1, 4, 'descriptor_scales'),
        (PAIRS, 1, 3, 'distillation_scales'),
        (PAIRS, 1, None, 'batch validation_images'),
        (PAIRS, 2, None, 'points'),
        (PAIRS, 0.01, None, 'min_downscale'),
        (AdaptationRecipe(), 0, 1, 'threshold corners'),
        (AdaptationRecipe(), 0, None, 'longest_side seed'),
        (AdaptationRecipe(), 0, 64, 'nms_radius'),
        (AdaptationRecipe(), 1, 100_000, 'max_keypoints'),
        (AdaptationRecipe(), 1, None, 'homographies candidates batch'),
    ],
)
def test_recipe_values_are_accepted_up_to_their_limits_only(recipe, low, high, names):
    for name in names.split():
        kind = type(getattr(recipe, name))
        step = 1 if kind is int else 0.001
        for limit, outside in ((low, low - step), *([(high, high + step)] if high else [])):
            assert getattr(replace(recipe, **{name: kind(limit)}), name) == limit
            with pytest.raises(ValueError, match=f'{name} must '):
                replace(recipe, **{name: outside})


def test_the_detection_accepts_the_limits_of_adaptation():
    for limits in ((0.0, 0, 1), (1.0, 64, 100_000)):
        values = dict(zip(('threshold', 'nms_radius', 'max_keypoints'), limits, strict=True))
        settings = AdaptationRecipe(**values).detection_settings()
        assert {name: getattr(settings, name) for name in values} == values


@pytest.mark.parametrize(
    'text', ['batch: 2.5', 'channels_last: 3', 'stage_channels: [8, 8, x, 8]', 'precision: float8']
)
def test_a_recipe_value_of_a_wrong_type_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=text.partition(':')[0]):
        read(tmp_path, text)
