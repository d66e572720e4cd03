# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Lists of images by hash: the same images are used wherever they are, or training refuses."""

from dataclasses import replace
import hashlib

import pytest

from superpoint_ros.data.sequences.image_files import list_images
from superpoint_ros.training.data_loading import TRAINING
from superpoint_ros.training.image_lists import image_list_path, read_image_list, select_listed
from superpoint_ros.training.pair_dataset import HomographyPairDataset
from superpoint_ros.training.photographs import Photographs
from superpoint_ros.training.training_recipes import SuperPointRecipe
from support.training_runs import write_photographs


@pytest.fixture
def folder(tmp_path):
    return write_photographs(tmp_path)[0]


def write_list(path, images):
    lines = [f'{hashlib.sha256(image.read_bytes()).hexdigest()}  {image.name}' for image in images]
    path.write_text('\n'.join(lines) + '\n')
    return str(path)


def test_only_listed_images_are_used_whatever_their_names(folder, tmp_path):
    images = list_images(folder)
    chosen = write_list(tmp_path / 'some.sha256', images[1:4])
    images[2].rename(folder / 'renamed.png')
    selected = select_listed(list_images(folder), chosen)
    assert sorted(path.name for path in selected) == ['1.png', '3.png', 'renamed.png']
    used = Photographs(folder, None, TRAINING, image_list=chosen).paths
    assert len(used) == 2
    assert set(used) < set(selected)


def test_a_recipe_takes_a_list(folder, tmp_path):
    chosen = write_list(tmp_path / 'some.sha256', list_images(folder)[:3])
    recipe = SuperPointRecipe(
        network='compact', images=str(folder), detector_targets='repeatability', image_list=chosen
    )
    assert len(HomographyPairDataset(recipe).photographs) == 2
    assert len(HomographyPairDataset(replace(recipe, image_list='')).photographs) == 5


def test_missing_and_changed_images_are_named(folder, tmp_path):
    images = list_images(folder)
    chosen = write_list(tmp_path / 'some.sha256', images[:3])
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes() + b' ')
    with pytest.raises(ValueError, match=r'lacks 2 of the 3 images of .* such as 0\.png'):
        select_listed(list_images(folder), chosen)


def test_files_that_are_no_list_are_refused(tmp_path):
    path = tmp_path / 'list'
    for line in ('abc  name.jpg', f'{"x" * 64}  name.jpg', 'a' * 64):
        path.write_text(f'{line}\n')
        with pytest.raises(ValueError, match=r'line 1: expected a SHA-256 and a name'):
            read_image_list(path)
    path.write_bytes(b'\x89PNG')
    with pytest.raises(ValueError, match='list is not a text file in UTF-8'):
        read_image_list(path)
    path.write_text('\n')
    with pytest.raises(ValueError, match='is empty'):
        read_image_list(path)
    with pytest.raises(FileNotFoundError, match=r'no image list absent.*images_free\.sha256'):
        image_list_path('absent')


def test_the_list_of_the_package_names_920_images():
    assert len(read_image_list(image_list_path('images_free.sha256'))) == 920


def test_names_that_sha256sum_escapes_are_read(tmp_path):
    digest = hashlib.sha256(b'image').hexdigest()
    (tmp_path / 'list.sha256').write_text(f'\\{digest}  a\\\\b.png\n')
    assert list(read_image_list(tmp_path / 'list.sha256')) == [digest]
