# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Benchmarks of planar scenes: made, read and measured."""

from __future__ import annotations

import json
import logging

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import main
from superpoint_ros.data.homography_sequences import (
    BenchmarkPlan,
    LEAST_SHARED,
    make_benchmark,
    render_view,
    sample_view,
)
from superpoint_ros.data.hpatches import (
    list_sequences,
    PlanarSequence,
    read_homography,
    read_sequence,
    write_homography,
)
from superpoint_ros.evaluation.baselines import described_method, Method
from superpoint_ros.evaluation.homography_benchmark import evaluate_planar, summarise
from superpoint_ros.evaluation.homography_report import planar_markdown, write_planar_report
from superpoint_ros.features import Features
from superpoint_ros.geometry.homography import valid_mask, warp_points


def photograph(seed, size=(160, 120)):
    """Return a picture full of blobs of many sizes."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(size[1], size[0])).astype(np.float32)
    layers = [cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1.2, 3, 8)]
    return cv2.normalize(sum(layers), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photographs')
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f'photo {number}.png'), photograph(number))
    return folder


@pytest.fixture(scope='module')
def benchmark(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp('made') / 'benchmark'
    paths = sorted(photographs.iterdir())
    assert make_benchmark(paths, out, BenchmarkPlan(viewpoint=2, illumination=2, pairs=2)) == []
    return out


def test_a_benchmark_has_the_layout_of_hpatches(benchmark):
    folders = list_sequences(benchmark)
    assert [folder.name[:6] for folder in folders] == ['i_002_', 'i_003_', 'v_000_', 'v_001_']
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        assert names == {'1.png', '2.png', '3.png', 'H_1_2', 'H_1_3'}
    manifest = json.loads((benchmark / 'manifest.json').read_text())
    assert manifest['plan']['pairs'] == 2
    made = {entry['sequence']: entry['photograph'] for entry in manifest['sequences']}
    assert set(made) == {folder.name for folder in folders}
    # Three photographs for four sequences: each is used before one is used again.
    assert set(made.values()) == {'photo 1.png', 'photo 2.png', 'photo 3.png'}


def test_the_same_seed_makes_the_same_benchmark_and_another_another(photographs, tmp_path):
    paths = sorted(photographs.iterdir())
    contents = []
    for name, seed in (('a', 5), ('b', 5), ('c', 6)):
        plan = BenchmarkPlan(viewpoint=1, illumination=1, pairs=1, seed=seed)
        make_benchmark(paths, tmp_path / name, plan)
        files = sorted(p for p in (tmp_path / name).rglob('*') if p.is_file())
        contents.append([(p.relative_to(tmp_path / name), p.read_bytes()) for p in files])
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_a_view_shows_the_photograph_where_the_homography_says():
    image = np.tile(np.linspace(20, 220, 160), (120, 1)).astype(np.uint8)
    homography = np.array([[0.8, 0.3, 10], [-0.3, 0.8, 40], [2e-4, 1e-4, 1]])
    view = render_view(image, homography)
    points = np.array([[40, 40], [80, 60], [100, 90]], float)
    for (x, _), (u, v) in zip(points, warp_points(points, homography), strict=True):
        patch = cv2.getRectSubPix(view, (1, 1), (float(u), float(v)))
        assert int(patch[0, 0]) == pytest.approx(20 + 200 * x / 159, abs=1.5)


def test_viewpoints_rotate_scale_and_share_a_fifth_or_more():
    rng = np.random.default_rng(0)
    angles, scales = [], []
    for _ in range(60):
        homography = sample_view(rng, (160, 120))
        for direction in (homography, np.linalg.inv(homography)):
            assert valid_mask(direction, (160, 120)).mean() >= LEAST_SHARED
        centre, right = warp_points(np.array([[79.5, 59.5], [80.5, 59.5]]), homography)
        step = right - centre
        angles.append(np.degrees(np.arctan2(step[1], step[0])))
        scales.append(np.linalg.norm(step))
    assert max(angles) > 30
    assert min(angles) < -30
    assert max(scales) > 1.6
    assert min(scales) < 0.65


def test_images_are_resized_together_with_their_homographies(tmp_path):
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


def test_bad_pairs_are_named_and_left_out(benchmark, tmp_path, caplog):
    folder = tmp_path / 'i_bad'
    folder.mkdir()
    image = photograph(9)
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


def test_folders_and_homographies_that_are_none_are_named(tmp_path):
    with pytest.raises(ValueError, match='holds no sequences: expected folders v_'):
        list_sequences(tmp_path)
    with pytest.raises(NotADirectoryError, match='nowhere is not a folder'):
        list_sequences(tmp_path / 'nowhere')
    (tmp_path / 'H').write_text('0 0 0\n0 0 0\n0 0 0\n')
    with pytest.raises(ValueError, match='holds no homography'):
        read_homography(tmp_path / 'H')


def test_unusable_photographs_are_named_and_an_error_only_if_none_is_left(tmp_path, caplog):
    good, small, bad = (tmp_path / name for name in ('good.png', 'small.png', 'bad.png'))
    cv2.imwrite(str(good), photograph(1))
    cv2.imwrite(str(small), np.zeros((30, 300), np.uint8))
    bad.write_bytes(b'no image')
    plan = BenchmarkPlan(viewpoint=2, illumination=2, pairs=1)
    with caplog.at_level(logging.WARNING):
        left_out = make_benchmark([small, good, bad], tmp_path / 'out', plan)
    assert set(left_out) == {small, bad}
    assert 'small.png is too small, 300x30' in caplog.text
    assert 'bad.png cannot be read' in caplog.text
    with pytest.raises(ValueError, match='none of 2 photographs can be used'):
        make_benchmark([small, bad], tmp_path / 'other', plan)
    with pytest.raises(ValueError, match='is not empty'):
        make_benchmark([good], tmp_path / 'out', plan)
    with pytest.raises(ValueError, match='pairs must be 1 or more, got 0'):
        BenchmarkPlan(pairs=0)


class Grid:
    """A detector that knows the homographies: a grid in the first image and where it falls."""

    def __init__(self, sequence, offset=0.0):
        xs, ys = np.meshgrid(np.arange(20, 141, 20.0), np.arange(20, 101, 20.0))
        points = np.stack([xs.ravel(), ys.ravel()], axis=1)
        rng = np.random.default_rng(0)
        descriptors = rng.normal(size=(len(points), 32))
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
        homographies = [np.eye(3), *sequence.homographies]
        self.answers = {}
        for image, homography in zip(sequence.images, homographies, strict=True):
            moved = warp_points(points, homography) + [offset * (homography != np.eye(3)).any(), 0]
            scores = np.linspace(1, 0.5, len(points))
            self.answers[image.tobytes()] = Features(moved, scores, descriptors)

    def __call__(self, image):
        return self.answers[image.tobytes()]


def known_sequence():
    shift = np.array([[1, 0, 5], [0, 1, -3], [0, 0, 1.0]])
    return PlanarSequence('v_known', 'viewpoint', [photograph(1), photograph(2)], [shift])


def test_detectors_with_known_answers_have_the_numbers_worked_out_by_hand():
    sequence = known_sequence()
    methods = [
        Method('exact', Grid(sequence)),
        Method('two off', Grid(sequence, 2.0)),
        Method('four off', Grid(sequence, 4.0)),
    ]
    result = evaluate_planar(methods, [sequence], keypoints=100)
    for counting in ('all', 'shared'):
        exact, two, four = (
            result['methods'][method.name][counting]['viewpoint'] for method in methods
        )
        assert exact['repeatability'] == two['repeatability'] == 1.0
        assert four['repeatability'] == four['matching_accuracy'] == 0.0
        assert exact['localisation'] == pytest.approx(0, abs=1e-4)
        assert two['localisation'] == pytest.approx(2.0, abs=1e-4)
        assert four['localisation'] is None
        # All points are off by the same: so are the corners.
        assert exact['homography_1px'] == 1.0
        assert [two[f'homography_{n}px'] for n in (1, 3, 5)] == [0, 1, 1]
        assert [four[f'homography_{n}px'] for n in (1, 3, 5)] == [0, 0, 1]
        assert two['homography_auc_5px'] == pytest.approx(1 - 2 / 5, abs=1e-3)
        assert four['homography_auc_5px'] == pytest.approx(1 - 4 / 5, abs=1e-3)
    assert result['methods']['exact']['all']['illumination'] is None


def test_only_the_best_keypoints_count():
    sequence = known_sequence()
    result = evaluate_planar([Method('exact', Grid(sequence))], [sequence], keypoints=10)
    assert result['methods']['exact']['all']['both']['points'] == 10


def test_a_failed_homography_counts_as_wrong_in_the_means():
    row = {'repeatability': 1.0, 'localisation': None, 'nn_map': 0.0, 'matching_score': 0.0}
    row |= {'matching_accuracy': 0.0, 'matches': 4, 'points': 9, 'corner_error': 2.0}
    means = summarise([row, row | {'corner_error': None, 'localisation': 0.5}])
    assert means['homography_3px'] == 0.5
    assert means['homography_auc_5px'] == pytest.approx((1 - 2 / 5) / 2)
    assert means['localisation'] == 0.5
    assert means['pairs'] == 2


def test_sift_does_well_on_a_made_benchmark_and_the_report_shows_it(benchmark, tmp_path):
    method = described_method('sift', 200)
    sequences = [read_sequence(folder) for folder in list_sequences(benchmark)]
    result = evaluate_planar([method], sequences, keypoints=200)
    both = result['methods']['SIFT']['shared']['both']
    assert both['pairs'] == 8
    assert both['homography_3px'] >= 0.75
    assert both['matching_accuracy'] > 0.5
    files = write_planar_report(result, [method], sequences[:1], tmp_path)
    assert [file.name for file in files] == [
        'homography.json',
        'homography.md',
        f'matches_{sequences[0].name}.png',
    ]
    assert json.loads(files[0].read_text())['keypoints'] == 200
    picture = cv2.imread(str(files[2]))
    assert picture.shape[1] >= 2 * 160
    text = planar_markdown(result)
    assert 'Viewpoint, 4 pairs:' in text
    assert 'Illumination, 4 pairs:' in text
    assert text.count('| SIFT |') == 6


def test_it_is_an_error_to_measure_on_nothing():
    with pytest.raises(ValueError, match='no sequence to measure on'):
        evaluate_planar([], [], 10)
    with pytest.raises(ValueError, match='keypoints must be 1 or more, got 0'):
        evaluate_planar([], [], 0)


def test_the_command_makes_a_benchmark_and_says_where(photographs, tmp_path, capsys):
    out = tmp_path / 'bench'
    arguments = ['make-benchmark', str(photographs), '--out', str(out), '--viewpoint', '1']
    assert main([*arguments, '--illumination', '1', '--pairs', '1']) == 0
    said = capsys.readouterr().out
    assert said.startswith('1 viewpoint and 1 illumination sequences of 1 pairs: see')
    assert len(list_sequences(out)) == 2
    assert main([*arguments, '--pairs', '0']) == 2
    assert 'pairs must be 1 or more' in capsys.readouterr().err
