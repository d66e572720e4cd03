# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Photographs, a recipe and a checkpoint for short runs of joint training."""

import pytest


@pytest.fixture(scope='session')
def folders(tmp_path_factory):
    """Return the folders of images and of their labels."""
    from support.training_runs import write_photographs

    return write_photographs(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='session')
def short_recipe(folders):
    """Return the recipe of a run of seconds."""
    from superpoint_ros.training.training_recipes import SuperPointRecipe
    from support.training_runs import SHORT_RUN

    images, labels = folders
    return SuperPointRecipe(images=str(images), labels=str(labels), **SHORT_RUN)


@pytest.fixture(scope='session')
def magicpoint(tmp_path_factory):
    """Return the checkpoint of a run of MagicPoint of one step with the compact network."""
    from superpoint_ros.training.checkpoints import LAST
    from superpoint_ros.training.lightning_modules import MagicPointModule
    from superpoint_ros.training.trainer import train
    from superpoint_ros.training.training_recipes import MagicPointRecipe

    folder = tmp_path_factory.mktemp('magicpoint')
    recipe = MagicPointRecipe('compact', max_steps=1, batch=1, width=64, height=48, workers=0)
    train(MagicPointModule(recipe, folder), folder, accelerator='cpu')
    return folder / LAST
