# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pseudo labels of a folder depend neither on the processes nor on interruptions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from superpoint_ros.training import pseudo_labels
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.label_files import LabelFolder, Labels
from superpoint_ros.training.pseudo_labels import label_folder, write_contact_sheet
from support.small_networks import write_weights

pytestmark = pytest.mark.usefixtures('restore_threads')  # `ThisProcess` gets those of a worker

RECIPE = AdaptationRecipe(homographies=4, threshold=0.01, nms_radius=2, max_keypoints=20)
BAD = ('bad.png', 'tiny.png')


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Return a folder of three photographs of two sizes, one damaged, and one too small."""
    folder = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    for name, shape in (('1.png', (48, 64)), ('2.png', (40, 33)), ('10.png', (48, 64))):
        cv2.imwrite(str(folder / name), rng.integers(0, 255, shape).astype(np.uint8))
    (folder / 'bad.png').write_bytes(b'no image')
    cv2.imwrite(str(folder / 'tiny.png'), np.zeros((8, 30), np.uint8))
    (folder / 'notes.txt').write_text('no image and not meant to be one')
    return folder


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Return a weight file."""
    return write_weights(tmp_path_factory.mktemp('weights') / 'tiny.safetensors')


class ThisProcess(ThreadPoolExecutor):
    """A pool that runs in this process, which is faster."""

    def __init__(self, count, context, initializer, initargs):
        super().__init__(count, initializer=initializer, initargs=initargs)


@pytest.fixture(scope='module')
def labelled(photos, weights, tmp_path_factory):
    """Return a folder of labels made here in one go, and what was returned."""
    out = tmp_path_factory.mktemp('out') / 'labels'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pseudo_labels, 'ProcessPoolExecutor', ThisProcess)
        return out, label_folder(photos, weights, out, RECIPE, ['cpu'])


@pytest.fixture
def in_this_process(monkeypatch):
    """Label without starting processes."""
    monkeypatch.setattr(pseudo_labels, 'ProcessPoolExecutor', ThisProcess)


@pytest.fixture
def no_processes(monkeypatch):
    """Fail if labelling starts."""

    def begin(*arguments, **named):
        raise AssertionError('labelling started')

    monkeypatch.setattr(pseudo_labels, 'ProcessPoolExecutor', begin)


def test_every_readable_photograph_gets_labels_and_the_others_are_named(photos, labelled):
    out, (counts, skipped) = labelled
    assert counts == [20, 20, 20]
    assert [path.name for path in skipped] == list(BAD)
    assert sorted(path.name for path in out.iterdir()) == [
        '1.png.npz',
        '10.png.npz',
        '2.png.npz',
        'labels.json',
        'labels.png',
    ]
    for path in LabelFolder(out).labelled(photos):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        keypoints = LabelFolder(out).read(path, image).keypoints
        assert 0 < len(keypoints) <= 20
        assert (keypoints >= 0).all()
        assert (keypoints <= np.array(image.shape[::-1]) - 1).all()


def test_the_labels_depend_on_neither_processes_batches_nor_interruption(
    photos, weights, labelled, tmp_path, caplog
):
    # What an interrupted run leaves: the manifest and some of the labels.
    interrupted = tmp_path / 'labels'
    interrupted.mkdir()
    for name in ('labels.json', '2.png.npz'):
        (interrupted / name).write_bytes((labelled[0] / name).read_bytes())
    before = (interrupted / '2.png.npz').stat().st_mtime_ns
    recipe = AdaptationRecipe(**(vars(RECIPE) | {'batch': 3}))
    with caplog.at_level(logging.WARNING):
        counts, skipped = label_folder(photos, weights, interrupted, recipe, ['cpu', 'cpu'])
    assert (len(counts), [path.name for path in skipped]) == (3, list(BAD))
    assert 'skipped: ' in caplog.text
    for name in BAD:
        assert str(photos / name) in caplog.text
    assert (interrupted / '2.png.npz').stat().st_mtime_ns == before
    for name in ('1.png', '2.png', '10.png'):
        one, two = (LabelFolder(folder).read(Path(name)) for folder in (labelled[0], interrupted))
        assert two.keypoints == pytest.approx(one.keypoints, abs=1e-4)
        assert two.scores == pytest.approx(one.scores, abs=1e-6)


def test_other_weights_recipe_or_precision_do_not_mix_with_labels_that_are_there(
    photos, weights, labelled, tmp_path, no_processes
):
    out = labelled[0]
    other = write_weights(tmp_path / 'other.safetensors', seed=1)
    with pytest.raises(ValueError, match=r'made in another way \(weights differ\)'):
        label_folder(photos, other, out, RECIPE, ['cpu'])
    recipe = AdaptationRecipe(**(vars(RECIPE) | {'homographies': 5}))
    with pytest.raises(ValueError, match=r'\(recipe differ\)'):
        label_folder(photos, weights, out, recipe, ['cpu'])
    with pytest.raises(ValueError, match=r'\(precision differ\)'):
        label_folder(photos, weights, out, RECIPE, ['cpu'], bfloat16=True)


def test_input_that_cannot_be_labelled_is_refused_before_the_work_begins(
    photos, weights, tmp_path, no_processes
):
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(ValueError, match='empty has no images'):
        label_folder(empty, weights, tmp_path / 'out', RECIPE, ['cpu'])
    with pytest.raises(NotADirectoryError, match='is not a folder'):
        label_folder(tmp_path / 'nowhere', weights, tmp_path / 'out', RECIPE, ['cpu'])
    with pytest.raises(FileNotFoundError, match='there is no weight file'):
        label_folder(photos, tmp_path / 'no.safetensors', tmp_path / 'out', RECIPE, ['cpu'])
    assert not (tmp_path / 'out').exists()


def test_labelling_fails_if_no_photograph_can_be_read(weights, tmp_path, in_this_process):
    photos = tmp_path / 'photos'
    photos.mkdir()
    for name in BAD:
        (photos / name).write_bytes(b'')
    with pytest.raises(
        ValueError, match=r'none of the images in .*photos could be read \(2 skipped\)'
    ):
        label_folder(photos, weights, tmp_path / 'labels', RECIPE, ['cpu'])


def test_without_the_network_only_corners_are_labelled(
    tmp_path, weights, monkeypatch, in_this_process
):
    monkeypatch.setattr(pseudo_labels, 'network_heatmaps', None)  # would raise if called
    photos = tmp_path / 'photos'
    photos.mkdir()
    x, y = np.arange(96), np.arange(80)[:, None]
    image = np.where((x > 50) & (y > 40), 200, 60).astype(np.uint8)
    cv2.imwrite(str(photos / 'corner.png'), image)
    recipe = AdaptationRecipe(homographies=6, threshold=0.3, network=False, corners=0.7)
    label_folder(photos, weights, tmp_path / 'labels', recipe, ['cpu'])
    labels = LabelFolder(tmp_path / 'labels').read(photos / 'corner.png')
    assert labels.keypoints[0] == pytest.approx([51, 41], abs=1.0)
    # Other weights have no effect: the folder can be continued.
    other = write_weights(tmp_path / 'other.safetensors', seed=1)
    assert label_folder(photos, other, tmp_path / 'labels', recipe, ['cpu'], bfloat16=True)


def test_the_contact_sheet_shows_some_photographs_small_with_their_labels(tmp_path):
    photos = tmp_path / 'photos'
    photos.mkdir()
    folder = LabelFolder(tmp_path / 'labels', {})
    image = np.full((1000, 2000), 90, np.uint8)
    for number in range(40):
        cv2.imwrite(str(photos / f'{number}.png'), image)
        # The point is at the centre of the image, wherever that lies on the sheet.
        labels = Labels(np.array([[999.5, 499.5]], np.float32), np.ones(1, np.float32))
        folder.write(photos / f'{number}.png', image, labels)
    write_contact_sheet(folder, photos)
    sheet = cv2.imread(str(tmp_path / 'labels' / 'labels.png'))
    assert max(sheet.shape) < 2000
    green = (sheet[:, :, 1].astype(int) - sheet[:, :, 2]) > 60
    count, _, _, centres = cv2.connectedComponentsWithStats(green.astype(np.uint8))
    assert count - 1 == pseudo_labels.PICTURES
    # Columns of pictures of 320x160 with a gap of 4.
    assert (centres[1:, 0] - 4) % 324 == pytest.approx(np.full(24, 159.5), abs=1)


def test_file_names_of_labelled_photographs_need_not_be_utf_8(weights, tmp_path, in_this_process):
    photos = tmp_path / 'photos'
    photos.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (48, 64)).astype(np.uint8)
    cv2.imwrite(str(photos / 'plain.png'), image)
    path = photos / os.fsdecode(b'caf\xe9.png')
    (photos / 'plain.png').rename(path)
    counts, skipped = label_folder(photos, weights, tmp_path / 'labels', RECIPE, ['cpu'])
    assert (len(counts), skipped) == (1, [])
    assert len(LabelFolder(tmp_path / 'labels').read(path, image).keypoints) == counts[0] > 0
    assert (tmp_path / 'labels' / 'labels.png').stat().st_size > 1000
