# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Label files are read as they were written; damaged and foreign ones are named."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.training.label_files import LabelFolder, Labels

ORIGIN = {'weights': 'abc', 'recipe': {'homographies': 3, 'scales': (1.0, 0.5)}}
LABELS = Labels(np.array([[1.25, 2.5], [30.0, 4.0]], np.float32), np.array([0.9, 0.5], np.float32))


@pytest.fixture
def photo(tmp_path):
    """Return the path of the only image in a folder."""
    path = tmp_path / 'photos' / 'a.png'
    path.parent.mkdir()
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (24, 40)).astype(np.uint8))
    return path


def test_labels_are_read_as_they_were_written(photo, tmp_path):
    folder = LabelFolder(tmp_path / 'labels', ORIGIN)
    folder.write(photo, read_image(photo), LABELS)
    labels = LabelFolder(tmp_path / 'labels').read(photo, read_image(photo))
    assert (labels.keypoints == LABELS.keypoints).all()
    assert (labels.scores == LABELS.scores).all()
    assert labels.keypoints.dtype == labels.scores.dtype == np.float32


def test_the_label_file_is_as_documented(photo, tmp_path):
    LabelFolder(tmp_path / 'labels', ORIGIN).write(photo, read_image(photo), LABELS)
    with np.load(tmp_path / 'labels' / 'a.png.npz') as arrays:
        assert sorted(arrays) == ['checksum', 'keypoints', 'scores', 'size']
        assert arrays['size'].tolist() == [40, 24]
        assert arrays['size'].dtype == arrays['checksum'].dtype == np.int64
    manifest = json.loads((tmp_path / 'labels' / 'labels.json').read_text())
    assert manifest['format'] == 'superpoint_ros labels 1'
    assert manifest['weights'] == 'abc'
    assert manifest['recipe'] == {'homographies': 3, 'scales': [1.0, 0.5]}


def test_an_image_without_keypoints_has_an_empty_label_file(photo, tmp_path):
    folder = LabelFolder(tmp_path / 'labels', ORIGIN)
    folder.write(photo, read_image(photo), Labels(np.zeros((0, 2)), np.zeros(0)))
    assert folder.read(photo).keypoints.shape == (0, 2)
    assert folder.labelled(photo.parent) == [photo]


def test_images_of_one_stem_do_not_share_labels(photo, tmp_path):
    folder = LabelFolder(tmp_path / 'labels', ORIGIN)
    assert folder.path(photo) != folder.path(photo.with_suffix('.jpg'))


def test_only_images_that_have_labels_are_listed(photo, tmp_path):
    folder = LabelFolder(tmp_path / 'labels', ORIGIN)
    for number in (10, 9, 11):
        path = photo.with_name(f'{number}.png')
        path.write_bytes(photo.read_bytes())
        if number != 11:
            folder.write(path, read_image(path), LABELS)
    names = [path.name for path in folder.labelled(photo.parent)]
    assert names == ['9.png', '10.png']
    with pytest.raises(ValueError, match='has labels for none of the images in'):
        LabelFolder(tmp_path / 'other', ORIGIN).labelled(photo.parent)


def test_labels_of_an_image_of_another_size_or_content_are_refused(photo, tmp_path):
    folder = LabelFolder(tmp_path / 'labels', ORIGIN)
    folder.write(photo, read_image(photo), LABELS)
    with pytest.raises(ValueError, match=r'image of 40x24 pixels; .*a\.png has 24x40'):
        folder.read(photo, read_image(photo).T)
    changed = read_image(photo)
    changed[0, 0] ^= 1
    with pytest.raises(ValueError, match='made for another image than'):
        folder.read(photo, changed)


def test_labels_of_one_origin_are_not_mixed_with_another(tmp_path):
    LabelFolder(tmp_path, ORIGIN)
    LabelFolder(tmp_path, ORIGIN)
    with pytest.raises(ValueError, match=r'made in another way \(weights differ\)'):
        LabelFolder(tmp_path, ORIGIN | {'weights': 'other'})
    with pytest.raises(ValueError, match=r'\(recipe differ\): continue with the same, or name'):
        LabelFolder(tmp_path, ORIGIN | {'recipe': {'homographies': 4}})


def test_a_file_that_is_no_archive_is_named_as_damaged_labels(photo, tmp_path):
    folder = LabelFolder(tmp_path / 'labels', ORIGIN)
    folder.path(photo).write_bytes(b'not an archive' * 20)
    with pytest.raises(ValueError, match=r'a\.png\.npz is damaged: delete it'):
        folder.read(photo)


@pytest.mark.parametrize(
    'arrays',
    [
        {'keypoints': np.zeros((2, 2)), 'scores': np.zeros(2)},
        {'keypoints': np.zeros((2, 3)), 'scores': np.zeros(2), 'size': [1, 1], 'checksum': 1},
        {'keypoints': np.zeros((2, 2)), 'scores': np.zeros(3), 'size': [1, 1], 'checksum': 1},
        {'keypoints': np.array([None]), 'scores': np.zeros(3), 'size': [1, 1], 'checksum': 1},
    ],
    ids=['arrays missing', 'wrong shape', 'counts differ', 'pickled'],
)
def test_arrays_of_another_kind_are_refused_as_labels(photo, tmp_path, arrays):
    folder = LabelFolder(tmp_path / 'labels', ORIGIN)
    np.savez(folder.path(photo), **arrays)
    with pytest.raises(ValueError, match='is damaged'):
        folder.read(photo)


def test_a_folder_without_labels_is_named_with_how_to_make_them(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no labels.json: make one with 'superpoint adapt'"
    ):
        LabelFolder(tmp_path)
    (tmp_path / 'labels.json').write_text('{')
    with pytest.raises(ValueError, match=r'labels\.json cannot be read'):
        LabelFolder(tmp_path)
    for text in ('{"format": "something else"}', '{}', '[]'):
        (tmp_path / 'labels.json').write_text(text)
        with pytest.raises(ValueError, match='does not have the format'):
            LabelFolder(tmp_path)
