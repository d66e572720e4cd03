# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Homography sequences in the layout of HPatches: made from photographs, and read."""

from __future__ import annotations

import json
import logging
import shutil

import cv2
import numpy as np
import pytest

from superpoint_ros.data.benchmark_from_photographs import (
    BenchmarkPlan,
    make_benchmark,
    MIN_OVERLAP,
    render_view,
    sample_view,
    VIEWPOINT,
)
from superpoint_ros.data.hpatches import (
    list_homography_sequences,
    read_homography,
    read_sequence,
    write_homography,
)
from superpoint_ros.geometry.homography import local_jacobian, resample, valid_mask, warp_points
from support.noise_pictures import noise_picture, write_pictures


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp('photographs'))


@pytest.fixture(scope='module')
def benchmark(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp('made') / 'benchmark'
    plan = BenchmarkPlan(viewpoint=2, illumination=2, pairs=2)
    assert make_benchmark(photographs, out, plan) == []
    return out


def test_made_benchmark_has_the_layout_of_hpatches(benchmark):
    folders = list_homography_sequences(benchmark)
    assert [folder.name[:6] for folder in folders] == ['i_002_', 'i_003_', 'v_000_', 'v_001_']
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        assert names == {'1.png', '2.png', '3.png', 'H_1_2', 'H_1_3'}
    assert {path.name for path in benchmark.iterdir() if path.is_file()} == {'manifest.json'}
    manifest = json.loads((benchmark / 'manifest.json').read_text())
    assert manifest['plan']['pairs'] == 2
    made = {entry['sequence']: entry['photograph'] for entry in manifest['sequences']}
    assert set(made) == {folder.name for folder in folders}
    # Three photographs for four sequences: each is used before one is used again.
    assert set(made.values()) == {'photo 1.png', 'photo 2.png', 'photo 3.png'}


def test_made_benchmark_is_reproducible_and_depends_on_the_seed(photographs, tmp_path):
    contents = []
    for name, seed in (('a', 5), ('b', 5), ('c', 6)):
        plan = BenchmarkPlan(viewpoint=1, illumination=1, pairs=1, seed=seed)
        make_benchmark(photographs, tmp_path / name, plan)
        files = sorted(p for p in (tmp_path / name).rglob('*') if p.is_file())
        contents.append([(p.relative_to(tmp_path / name), p.read_bytes()) for p in files])
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_rendered_view_agrees_with_its_homography():
    homography = np.array([[0.8, 0.3, 10], [-0.3, 0.8, 40], [2e-4, 1e-4, 1]])
    y, x = np.mgrid[:120, :160]
    for place in ([70.2, 62.7], [80.6, 60.1], [90.4, 70.3]):
        spot = 250 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * 4**2))
        moments = cv2.moments(render_view(spot.round().astype(np.uint8), homography))
        found = np.array([moments['m10'], moments['m01']]) / moments['m00']
        np.testing.assert_allclose(found, warp_points([place], homography)[0], atol=0.05)


def test_sampled_viewpoints_rotate_scale_and_share_a_fifth_or_more():
    rng = np.random.default_rng(0)
    angles, scales = [], []
    for _ in range(200):
        homography = sample_view(rng, (80, 60), VIEWPOINT)
        for direction in (homography, np.linalg.inv(homography)):
            assert valid_mask(direction, (80, 60)).mean() >= MIN_OVERLAP
        centre, right = warp_points(np.array([[39.5, 29.5], [40.5, 29.5]]), homography)
        step = right - centre
        angles.append(np.degrees(np.arctan2(step[1], step[0])))
        scales.append(np.linalg.norm(step))
    assert max(angles) > 30
    assert min(angles) < -30
    assert max(scales) > 1.6
    assert min(scales) < 0.65


def test_close_ups_are_turned_and_zoomed_in_both_directions(photographs, tmp_path):
    plan = BenchmarkPlan(viewpoint=0, illumination=0, close_ups=8, pairs=1)
    assert make_benchmark(photographs, tmp_path / 'out', plan) == []
    angles = []
    for number, folder in enumerate(list_homography_sequences(tmp_path / 'out')):
        sequence = read_sequence(folder)
        (first, second), (to_second,) = sequence.images, sequence.homographies
        size = first.shape[::-1]
        close_up_first = number % 2 == 1
        to_whole = to_second if close_up_first else np.linalg.inv(to_second)
        # The close-up shows nothing beyond the photograph, except for a small motion of the hand.
        assert valid_mask(np.linalg.inv(to_whole), size).mean() > 0.8
        middle = (np.array(size) - 1) / 2
        area = abs(np.linalg.det(local_jacobian(to_whole, middle)))
        assert 1 / 6 < np.sqrt(area) < 1 / 1.9
        ends = warp_points(middle + [[0, 0], [1, 0]], to_whole)
        angles.append(np.degrees(np.arctan2(*(ends[1] - ends[0])[::-1])))
        close_up, whole = (first, second) if close_up_first else (second, first)
        drawn = resample(close_up, to_whole, size).astype(float)
        inside = valid_mask(to_whole, size, erosion=12)
        assert np.corrcoef(drawn[inside], whole[inside])[0, 1] > 0.9
    assert np.ptp(angles) > 180


def test_hpatches_images_are_resized_together_with_their_homographies(tmp_path):
    folder = tmp_path / 'v_scene'
    folder.mkdir()
    cv2.imwrite(str(folder / '1.ppm'), np.zeros((100, 200, 3), np.uint8))
    cv2.imwrite(str(folder / '2.ppm'), np.zeros((200, 400, 3), np.uint8))
    # Image 2 is image 1 enlarged twice; pixel centres: (p + 0.5) * 2 - 0.5.
    write_homography(folder / 'H_1_2', [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
    sequence = read_sequence(folder, longest_side=100)
    assert [image.shape for image in sequence.images] == [(50, 100), (50, 100)]
    assert sequence.homographies[0] == pytest.approx(np.eye(3), abs=1e-9)
    assert (sequence.name, sequence.kind) == ('v_scene', 'viewpoint')
    original = read_sequence(folder)
    assert original.images[1].shape == (200, 400)
    assert original.homographies[0][0].tolist() == [2, 0, 0.5]


def test_bad_hpatches_pairs_are_named_and_skipped(tmp_path, caplog):
    folder = tmp_path / 'i_bad'
    folder.mkdir()
    image = noise_picture(9)
    for number in (1, 2, 3, 4, 10):
        cv2.imwrite(str(folder / f'{number}.png'), image)
    for number in (2, 10):
        write_homography(folder / f'H_1_{number}', np.eye(3))
    (folder / 'H_1_3').write_text('1 2 3')
    (folder / '2.png').write_bytes(b'')
    with caplog.at_level(logging.WARNING):
        sequence = read_sequence(folder)
    assert len(sequence.images) == 2
    for number in (2, 3, 4):
        assert f'skipped image {number} of i_bad' in caplog.text
    (folder / 'H_1_10').unlink()
    with pytest.raises(ValueError, match='no pair of images'):
        read_sequence(folder)
    (folder / '1.png').unlink()
    with pytest.raises(ValueError, match='has no image 1'):
        read_sequence(folder)


@pytest.mark.parametrize('lost', ['2.png', 'H_1_2'])
def test_pairs_of_an_incomplete_sequence_keep_the_numbers_of_files(benchmark, tmp_path, lost):
    folder = tmp_path / 'v_incomplete'
    shutil.copytree(next(benchmark.glob('v_*')), folder)
    whole = read_sequence(folder)
    assert list(whole.numbers) == [2, 3]
    (folder / lost).unlink()
    # The largest number of pairs is that of the pairs that can be read.
    for max_pairs in (None, 1):
        sequence = read_sequence(folder, max_pairs=max_pairs)
        assert list(sequence.numbers) == [3]
        np.testing.assert_array_equal(sequence.images[1], whole.images[2])
        np.testing.assert_array_equal(sequence.homographies, whole.homographies[1:])


def test_the_layout_of_the_affine_region_benchmark_is_read_as_published(benchmark, tmp_path):
    kinds = {'bark': 'viewpoint', 'leuven': 'illumination', 'other': 'viewpoint'}
    expected = [read_sequence(folder) for folder in list_homography_sequences(benchmark)[:3]]
    for name, sequence in zip(kinds, expected, strict=True):
        folder = tmp_path / name
        folder.mkdir()
        for number, image in enumerate(sequence.images, start=1):
            cv2.imwrite(str(folder / f'img{number}.ppm'), cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        for number, homography in zip(sequence.numbers, sequence.homographies, strict=True):
            write_homography(folder / f'H1to{number}p', homography)
    (tmp_path / 'other' / 'readme.ppm').write_bytes(b'')
    (tmp_path / 'pictures').mkdir()
    folders = list_homography_sequences(tmp_path)
    assert [folder.name for folder in folders] == list(kinds)
    for folder, original in zip(folders, expected, strict=True):
        sequence = read_sequence(folder)
        assert sequence.kind == kinds[folder.name]
        assert list(sequence.numbers) == list(original.numbers)
        np.testing.assert_array_equal(sequence.homographies, original.homographies)
        for image, first in zip(sequence.images, original.images, strict=True):
            np.testing.assert_array_equal(image, first)
    (tmp_path / 'bark' / 'img1.ppm').unlink()
    with pytest.raises(ValueError, match='has no image 1 .img1.png'):
        read_sequence(tmp_path / 'bark')


def test_invalid_hpatches_folders_and_homographies_are_named(tmp_path):
    with pytest.raises(ValueError, match='has no sequences: expected folders v_'):
        list_homography_sequences(tmp_path)
    with pytest.raises(NotADirectoryError, match='nowhere is not a folder'):
        list_homography_sequences(tmp_path / 'nowhere')
    for text in ('0 0 0\n0 0 0\n0 0 0\n', '1 0 0 0\n0 1 0 0\n0 0 1 0\n', '1 0 0 0 1 0 0 0 1', ''):
        (tmp_path / 'H').write_text(text)
        with pytest.raises(ValueError, match='H is not a homography'):
            read_homography(tmp_path / 'H')


def test_homographies_of_windows_programs_are_read(tmp_path):
    (tmp_path / 'H').write_bytes(b'\xef\xbb\xbf1 0 2.5\r\n0 1 0\r\n\r\n0 0 1\r\n\r\n')
    assert read_homography(tmp_path / 'H').tolist() == [[1, 0, 2.5], [0, 1, 0], [0, 0, 1]]


def test_unusable_photographs_are_named_and_an_error_only_if_none_is_usable(tmp_path, caplog):
    good, small, bad = (tmp_path / name for name in ('good.png', 'small.png', 'bad.png'))
    cv2.imwrite(str(good), noise_picture(1))
    cv2.imwrite(str(small), np.zeros((30, 300), np.uint8))
    bad.write_bytes(b'no image')
    plan = BenchmarkPlan(viewpoint=2, illumination=2, pairs=1)
    with caplog.at_level(logging.WARNING):
        left_out = make_benchmark([small, good, bad], tmp_path / 'out', plan)
    assert set(left_out) == {small, bad}
    assert 'small.png is too small, 300x30' in caplog.text
    assert 'bad.png cannot be read' in caplog.text
    with pytest.raises(ValueError, match=r'none of the photographs can be used \(2 skipped\)'):
        make_benchmark([small, bad], tmp_path / 'other', plan)
    with pytest.raises(ValueError, match='is not empty'):
        make_benchmark([good], tmp_path / 'out', plan)
    with pytest.raises(ValueError, match='pairs must be at least 1, got 0'):
        BenchmarkPlan(pairs=0)


def test_a_benchmark_that_was_interrupted_is_not_read(photographs, tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    plan = BenchmarkPlan(viewpoint=2, illumination=0, pairs=1)
    with pytest.raises(KeyboardInterrupt):
        make_benchmark(photographs, tmp_path / 'out', plan, on_sequence=interrupt)
    assert len(list((tmp_path / 'out').glob('v_*'))) == 1
    with pytest.raises(ValueError, match='out is incomplete: .* delete the folder'):
        list_homography_sequences(tmp_path / 'out')
