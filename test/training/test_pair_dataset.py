# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pairs of views: correspondences are exact, and labels are at the right positions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
import os
import warnings
import zlib

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.data.random_homographies import HomographyRanges
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.geometry.homography import warp_points
from superpoint_ros.model.config import DUSTBIN
from superpoint_ros.training import pair_dataset as pairs
from superpoint_ros.training.data_loading import endless_loader, Steps, VALIDATION
from superpoint_ros.training.label_files import LabelFolder, Labels
from superpoint_ros.training.losses import cell_centres, IGNORED
from superpoint_ros.training.pair_dataset import (
    FAR_AWAY,
    HomographyPairDataset,
    make_sample,
)
from superpoint_ros.training.photographs import Photographs
from superpoint_ros.training.training_recipes import SuperPointRecipe
from support.training_runs import write_photographs


@pytest.fixture(scope='module')
def recipe(tmp_path_factory):
    """Return a recipe without photometric augmentation, for labels that are dots."""
    images, labels = write_photographs(tmp_path_factory.mktemp('pairs'))
    return SuperPointRecipe(
        network='compact',
        images=str(images),
        labels=str(labels),
        width=96,
        height=64,
        points=64,
        augmented=0.0,
        shapes=0.0,
    )


def samples(recipe, count=30):
    source = HomographyPairDataset(recipe)
    found = [{name: value.numpy() for name, value in source[i].items()} for i in range(count)]
    for index, sample in enumerate(found):
        sample['homography'] = source.draw(source.rng(index))[1]
    return found


def labelled_pixels(labels):
    """Return the pixels (N, 2) that labels (h, w) name."""
    rows, columns = np.nonzero((labels != DUSTBIN) & (labels != IGNORED))
    classes = labels[rows, columns]
    return np.stack([columns * 8 + classes % 8, rows * 8 + classes // 8], axis=1)


def brightest_near(image, points, reach=2):
    """Return for each pixel (N, 2) the middle of the brightness around it, inside the image."""
    middles = []
    for x, y in points:
        window = image[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(float) - 40
        v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        middles.append(
            [x + (u * window).sum() / window.sum(), y + (v * window).sum() / window.sum()]
        )
    return np.array(middles)


@pytest.fixture
def repeatability(recipe):
    """Return a recipe with repeatability targets, without labels."""
    return replace(recipe, detector_targets='repeatability', labels='')


PSEUDO_LABELS = {'labels': ((2, 8, 12), torch.int64)}
REPEATABILITY = {'targets': ((2, 65, 8, 12), torch.float32), 'known': ((2, 8, 12), torch.bool)}


@pytest.mark.parametrize(
    ('name', 'targets'), [('recipe', PSEUDO_LABELS), ('repeatability', REPEATABILITY)]
)
def test_a_pair_sample_has_the_documented_shapes_and_types(request, name, targets):
    sample = HomographyPairDataset(request.getfixturevalue(name))[0]
    described = {name: (tuple(value.shape), value.dtype) for name, value in sample.items()}
    assert described == targets | {
        'images': ((2, 64, 96), torch.uint8),
        'shown': ((2, 8, 12), torch.bool),
        'cells_in_b': ((8, 12, 2), torch.float32),
        'points': ((2, 64, 2), torch.float32),
        'valid': ((64,), torch.bool),
    }
    if 'known' in sample:
        assert not (sample['known'] & ~sample['shown']).any()


def test_labels_lie_in_the_middle_of_what_they_label_in_both_views(recipe):
    offsets = []
    for sample in samples(recipe):
        for image, labels in zip(sample['images'], sample['labels'], strict=True):
            pixels = labelled_pixels(labels)
            inside = ((pixels >= 4) & (pixels < [92, 60])).all(axis=1)
            offsets.append(brightest_near(image, pixels[inside]) - pixels[inside])
    offsets = np.concatenate(offsets)
    assert len(offsets) > 200
    # Labels are whole pixels: off by half a pixel at most, and not to one side. Other dots that
    # a small view brings near add some; half a pixel lost in a warp would show in the mean.
    assert np.abs(offsets).max() < 1.1
    assert np.abs(offsets.mean(axis=0)).max() < 0.08


def test_the_homography_takes_the_points_of_a_to_those_of_b(recipe):
    shown = 0
    for sample in samples(recipe):
        a, b = sample['points'][:, sample['valid']].astype(np.float64)
        warped = warp_points(a, sample['homography'])
        assert np.abs(warped - b).max(initial=0) < 0.01
        for points in (a, b):
            assert ((points >= 0) & (points <= [95, 63])).all()
        shown += len(a)
    assert shown > 0.3 * 30 * 64


def test_points_are_the_same_spot_of_the_scene_in_both_images(recipe):
    # Zoom changes how sharp a dot is, not which side of a slope is bright.
    ranges = HomographyRanges(0.1, 40.0, None, 0.9, 1.1, 0.05, 1.0, True)
    values = []
    for sample in samples(replace(recipe, homography=ranges, min_downscale=1.0)):
        looked_up = [
            cv2.remap(image, *points.T[..., None], cv2.INTER_LINEAR)[:, 0]
            for image, points in zip(
                sample['images'], sample['points'][:, sample['valid']], strict=True
            )
        ]
        values.append(looked_up)
    a, b = np.concatenate(values, axis=1).astype(float)
    assert np.corrcoef(a, b)[0, 1] > 0.98


def test_the_share_of_keypoints_among_the_points_is_limited(recipe):
    def bright(labelled):
        found = samples(replace(recipe, points=16, keypoint_share=labelled, min_downscale=10.0))
        values = [
            cv2.remap(s['images'][0], *s['points'][0, s['valid']].T[..., None], cv2.INTER_LINEAR)
            for s in found
        ]
        return (np.concatenate(values) > 120).mean()

    assert bright(0.0) < 0.1
    assert 0.45 < bright(0.5) < 0.7  # labels are always shown by both, others need not be


def test_cells_that_show_nothing_of_the_photograph_are_left_out(recipe, monkeypatch):
    far = np.array([[1.0, 0, 48.0], [0, 1, 0], [0, 0, 1]])  # B shows A half a view to the right
    monkeypatch.setattr(pairs, 'sample_homography', lambda *_: far)
    # Views of all of the photograph's height or width: whatever is beyond it is not known.
    sample = samples(replace(recipe, width=144, height=104, min_downscale=10.0), 1)[0]
    a, b = sample['labels']
    assert (b[:, :6] == IGNORED).all()
    assert (b[1:-1, 7:] != IGNORED).all()
    assert (a[1:-1, 1:-1] != IGNORED).all()
    points = sample['points'][:, sample['valid']]
    assert np.allclose(points[1] - points[0], [48, 0], atol=1e-3)


def test_the_detector_loss_ignores_labels_below_the_min_score(recipe):
    sure = samples(recipe)
    uncertain = samples(replace(recipe, min_score=0.55))
    for with_all, with_some in zip(sure, uncertain, strict=True):
        pixels = labelled_pixels(with_all['labels'][0])
        cells = with_some['labels'][0][pixels[:, 1] // 8, pixels[:, 0] // 8]
        assert (cells != DUSTBIN).all()
    counts = [sum((s['labels'] == IGNORED).sum() for s in each) for each in (sure, uncertain)]
    labels = [
        sum(len(labelled_pixels(x)) for s in each for x in s['labels'])
        for each in (sure, uncertain)
    ]
    assert counts[1] > counts[0]
    assert 0.3 < labels[1] / labels[0] < 0.7


def test_samples_depend_on_the_seed_and_their_number_alone(recipe):
    loader = endless_loader(HomographyPairDataset(recipe), Steps(2, start=3), 0)
    batch = next(iter(loader))
    again = HomographyPairDataset(recipe)
    for name, value in batch.items():
        assert torch.equal(value, torch.stack([again[6][name], again[7][name]]))
    other = HomographyPairDataset(replace(recipe, seed=1))[6]
    assert not torch.equal(other['images'], again[6]['images'])


def test_a_photograph_is_for_training_or_for_validation_never_both(recipe):
    folders = recipe.images, recipe.labels
    trained = {path.name for path in HomographyPairDataset(recipe).photographs.paths}
    kept = {path.name for path in HomographyPairDataset(recipe, VALIDATION).photographs.paths}
    assert trained | kept == {f'{i}.png' for i in range(6)}
    assert not trained & kept
    # A small folder may have no name with such a number: the smallest number is kept.
    assert kept == {min(trained | kept, key=lambda name: zlib.crc32(name.encode()))}
    assert len(Photographs(*folders, VALIDATION)) == 1


@pytest.mark.parametrize('size', [(16, 16), (16, 200), (300, 20), (1, 1)])
def test_photographs_that_are_smaller_than_a_view_fill_it(tmp_path, recipe, size):
    images, labels = tmp_path / 'photos', LabelFolder(tmp_path / 'labels', {'weights': 'none'})
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        path = images / f'{number}.png'
        pixels = rng.integers(0, 255, size[::-1]).astype(np.uint8)
        cv2.imwrite(str(path), pixels)
        points = np.full((number, 2), min(size) / 2)  # the first has none
        labels.write(path, pixels, Labels(points, np.ones(number)))
    small = replace(recipe, images=str(images), labels=str(labels.folder), augmented=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = samples(small, 20)
    for sample in found:
        assert np.isfinite(sample['points']).all()
        if min(size) < 7:  # all of it is border
            assert (sample['labels'] == IGNORED).all()
            assert not sample['valid'].any()
    if min(size) >= 16:
        assert np.mean([sample['valid'].mean() for sample in found]) > 0.2


def test_memory_for_photographs_is_bounded_and_does_not_change_the_samples(recipe, monkeypatch):
    expected = samples(recipe, 8)
    monkeypatch.setattr('superpoint_ros.training.photographs.KEPT_BYTES', 2 * 150 * 110)
    source = HomographyPairDataset(recipe)
    for index, sample in enumerate(expected):
        assert np.array_equal(source[index]['images'].numpy(), sample['images'])
    assert len(source.photographs._cached) == 2


def test_labels_without_any_keypoint_are_refused(tmp_path, recipe):
    images, folder = write_photographs(tmp_path)
    labels = LabelFolder(folder)
    none = Labels(np.zeros((0, 2), np.float32), np.zeros(0, np.float32))
    paths = sorted(images.iterdir())
    written = replace(recipe, images=str(images), labels=str(folder))
    for path in paths:
        HomographyPairDataset(written)
        HomographyPairDataset(written, VALIDATION)
        labels.write(path, read_image(path), none)
    with pytest.raises(ValueError, match='have no keypoint: make others with a lower threshold'):
        HomographyPairDataset(written)


def test_labels_of_other_images_are_found_before_training_starts(tmp_path, recipe):
    images, labels = write_photographs(tmp_path)
    for path in images.iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    with pytest.raises(ValueError, match=r'made for another image than .*\.png'):
        HomographyPairDataset(replace(recipe, images=str(images), labels=str(labels)))


@pytest.mark.parametrize(
    ('targets', 'kind'), [('pseudo_labels', 'labelled image'), ('repeatability', 'image')]
)
def test_one_image_is_too_few(tmp_path, recipe, targets, kind):
    images, labels = write_photographs(tmp_path, count=1)
    with pytest.raises(ValueError, match=f'holds 1 {kind}; there must be at least 2'):
        HomographyPairDataset(
            replace(recipe, detector_targets=targets, images=str(images), labels=str(labels))
        )


def test_repeatable_keypoints_are_among_the_points_of_both_views(repeatability):
    # Keypoints are at the centres of the dots, in any view.
    offsets, shown = [], 0
    for sample in samples(repeatability):
        count = int(0.7 * 64)
        valid = sample['valid'].copy()
        valid[count:] = False
        a, b = sample['points'][:, valid].astype(np.float64)
        distance = np.linalg.norm(warp_points(a, sample['homography']) - b, axis=1)
        offsets.append(distance)
        shown += len(a)
    assert shown > 100
    assert np.median(np.concatenate(offsets)) < 0.3


def test_the_centres_of_cells_are_mapped_into_the_other_view(recipe):
    for sample in samples(recipe, 5):
        expected = warp_points(cell_centres(8, 12).numpy(), sample['homography'])
        cells = sample['cells_in_b'].reshape(-1, 2)
        assert cells == pytest.approx(expected, rel=1e-4, abs=1e-2)


def test_the_centres_of_cells_beyond_the_horizon_are_far_away(recipe):
    source = HomographyPairDataset(recipe)
    rng = source.rng(0)
    tilt = np.array([[1, 0, 0], [0, 1, 0], [-1 / 48, 0, 1]])  # the horizon is in the sixth column
    mappings = (partial(warp_points, homography=each) for each in (tilt, np.linalg.inv(tilt)))
    pair = source.draw(rng)[0]._replace(mappings=tuple(mappings))
    sample = make_sample(pair, source.targets.make(pair, rng), recipe, rng)
    far = (sample['cells_in_b'] == FAR_AWAY).all(dim=-1)
    assert far.tolist() == [[column > 5 for column in range(12)]] * 8


def test_an_unreadable_photograph_is_skipped_and_named(tmp_path, repeatability, caplog):
    images, _ = write_photographs(tmp_path)
    (images / '2.png').write_bytes(b'no image')
    folder = Photographs(images, None, 0)
    folder.check()
    bad = [path.name for path in folder.paths].index('2.png')
    following = folder.paths[(bad + 1) % len(folder)]
    assert (folder[bad].image == cv2.imread(str(following), cv2.IMREAD_GRAYSCALE)).all()
    assert caplog.text.count('skipped: ') == 1
    assert str(images / '2.png') in caplog.text
    assert samples(replace(repeatability, images=str(images)), 8)


def test_a_photograph_that_is_too_large_to_be_warped_is_skipped_and_named(
    tmp_path, repeatability, caplog
):
    images, _ = write_photographs(tmp_path)
    cv2.imwrite(str(images / '2.png'), np.zeros((8, 32767), np.uint8))
    assert samples(replace(repeatability, images=str(images)), 8)
    assert f'skipped: {images / "2.png"} has 32767x8 pixels; to be warped, no side' in caplog.text
    cv2.imwrite(str(images / '2.png'), np.zeros((8, 32766), np.uint8))
    caplog.clear()
    assert samples(replace(repeatability, images=str(images)), 8)
    assert not caplog.text


def test_photographs_of_which_none_can_be_read_are_an_error(tmp_path, repeatability):
    for name in ('a.png', 'b.png', 'c.png'):
        (tmp_path / name).write_bytes(b'no image')
    with pytest.raises(
        ValueError, match=r'none of the photographs in .* can be read \(2 skipped\)'
    ):
        HomographyPairDataset(replace(repeatability, images=str(tmp_path)))


def test_file_names_of_photographs_need_not_be_utf_8(tmp_path, repeatability):
    images, _ = write_photographs(tmp_path)
    name = os.fsdecode(b'caf\xe9.png')
    (images / '1.png').rename(images / name)
    dataset = HomographyPairDataset(replace(repeatability, images=str(images)))
    kept = Photographs(images, None, VALIDATION)
    assert name in {path.name for path in (*dataset.photographs.paths, *kept.paths)}
    assert dataset[0]['images'].shape == (2, 64, 96)
