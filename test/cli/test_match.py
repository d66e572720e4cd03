# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint match` draws and saves the matches of two images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import main
from support.noise_pictures import noise_picture

CPU = ['--device', 'cpu', '--engine', 'torch', '--precision', 'float32']


@pytest.fixture
def photos(tmp_path):
    """Return two pictures of different sizes: the second shows a part of the first."""
    picture = noise_picture(1, (200, 160))
    paths = [tmp_path / 'a.png', tmp_path / 'b.png']
    cv2.imwrite(str(paths[0]), picture)
    cv2.imwrite(str(paths[1]), picture[10:130, 20:180])
    return [str(path) for path in paths]


@pytest.mark.parametrize('options', [[], ['--wide']])
def test_match_writes_a_picture_and_the_matched_keypoints(photos, options, tmp_path, capsys):
    out = tmp_path / 'new' / 'out'
    assert main(['match', *photos, '--out', str(out), *CPU, *options]) == 0
    with np.load(out / 'matches.npz') as arrays:
        a, b = arrays['keypoints_a'], arrays['keypoints_b']
    assert a.shape == b.shape
    assert len(a) > 20
    offsets = np.linalg.norm(a - [20, 10] - b, axis=1)
    assert np.mean(offsets < 1) > 0.9
    assert cv2.imread(str(out / 'matches.png')).shape == (160, 360, 3)
    fitting = int((offsets < 3).sum())
    expected = f'{len(a)} matches, {fitting} of them consistent with one homography: see {out}\n'
    assert capsys.readouterr().out == expected


def test_match_wide_prints_how_the_images_were_aligned(photos, tmp_path, capsys):
    turned = tmp_path / 'turned.png'
    cv2.imwrite(str(turned), np.rot90(cv2.imread(photos[0], 0)))
    out = tmp_path / 'out'
    assert main(['match', photos[0], str(turned), '--wide', '--out', str(out), *CPU]) == 0
    # np.rot90 turns counter-clockwise.
    printed = capsys.readouterr().out
    assert 'after alignment by -90 degrees, a zoom of 1.00 and a stretch of 1.00' in printed


def test_match_of_blank_images_prints_that_there_are_no_matches(tmp_path, capsys):
    blank = tmp_path / 'blank.png'
    cv2.imwrite(str(blank), np.zeros((40, 60), np.uint8))
    out = tmp_path / 'out'
    assert main(['match', str(blank), str(blank), '--wide', '--out', str(out), *CPU]) == 0
    assert capsys.readouterr().out.startswith('0 matches, 0 of them consistent with')
    with np.load(out / 'matches.npz') as arrays:
        assert arrays['keypoints_a'].shape == (0, 2)


def test_match_names_a_missing_image_and_keeps_its_inputs(photos, tmp_path, capsys):
    missing = str(tmp_path / 'missing.png')
    assert main(['match', photos[0], missing, '--out', str(tmp_path / 'out')]) == 2
    assert 'missing.png' in capsys.readouterr().err
    picture = tmp_path / 'matches.png'
    picture.write_bytes((tmp_path / 'a.png').read_bytes())
    assert main(['match', str(picture), photos[0], '--out', str(tmp_path)]) == 2
    assert 'would replace the input' in capsys.readouterr().err


def test_match_names_an_image_that_is_too_small_and_a_folder(photos, tmp_path, capsys):
    small = tmp_path / 'small.png'
    cv2.imwrite(str(small), np.zeros((10, 60), np.uint8))
    out = ['--out', str(tmp_path / 'out')]
    assert main(['match', photos[0], str(small), *out]) == 2
    expected = f'superpoint: {small}: an image must have at least 16x16 pixels; got 60x10\n'
    assert capsys.readouterr().err == expected
    assert main(['match', photos[0], str(tmp_path), *out]) == 2
    assert 'is a folder: an image file is needed' in capsys.readouterr().err
