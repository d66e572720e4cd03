# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint explain` writes the pictures and prints why a pixel is a keypoint."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import main
from superpoint_ros.resources import demo_photographs

STEPS = ['1_cells', '2_channels', '3_pixel_shuffle', '4_heatmap', '5_selection', '6_descriptors']


@pytest.fixture
def photo(tmp_path):
    """Return a small photograph."""
    image = cv2.imread(str(demo_photographs()[1]))[:160, :200]
    cv2.imwrite(str(tmp_path / 'photo.png'), image)
    return str(tmp_path / 'photo.png')


def test_explain_writes_a_picture_of_each_step(photo, tmp_path, capsys):
    out = tmp_path / 'new' / 'out'
    assert main(['explain', photo, '--out', str(out), '--device', 'cpu']) == 0
    assert sorted(path.name for path in out.iterdir()) == [f'{step}.png' for step in STEPS]
    for step in STEPS:
        assert min(cv2.imread(str(out / f'{step}.png')).shape[:2]) > 100
    said = capsys.readouterr().out
    assert 'It is keypoint 1 of ' in said
    assert f'6 pictures: see {out}' in said


def test_explain_explains_the_given_pixel(photo, tmp_path, capsys):
    options = ['--out', str(tmp_path), '--pixel', '21', '18', '--threshold', '0.9']
    assert main(['explain', photo, *options]) == 0
    said = capsys.readouterr().out
    assert said.startswith('Pixel 21, 18 is channel 21 of cell 2, 2.\n')
    assert 'The threshold is 0.9.' in said
    assert main(['explain', photo, '--out', str(tmp_path), '--pixel', '200', '3']) == 2
    assert 'pixel 200, 3 is outside the image of 200x160' in capsys.readouterr().err


def test_explain_omits_descriptors_of_an_image_without_keypoints(photo, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'blank.png'), np.full((64, 64), 100, np.uint8))
    out = tmp_path / 'out'
    assert main(['explain', photo, '--out', str(out)]) == 0
    assert (out / '6_descriptors.png').is_file()
    options = ['--out', str(out), '--threshold', '1']
    assert main(['explain', str(tmp_path / 'blank.png'), *options]) == 0
    assert sorted(path.name for path in out.iterdir()) == [f'{step}.png' for step in STEPS[:5]]
    assert '0 keypoints, 5 pictures' in capsys.readouterr().out


def test_explain_reports_unreadable_images_in_one_line(tmp_path, capsys):
    (tmp_path / 'bad.png').write_bytes(b'no image')
    for name, message in (('bad.png', 'cannot be read as an image'), ('no.png', 'there is no')):
        assert main(['explain', str(tmp_path / name), '--out', str(tmp_path / 'o')]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count('\n') == 1
    cv2.imwrite(str(tmp_path / 'tiny.png'), np.zeros((9, 90), np.uint8))
    assert main(['explain', str(tmp_path / 'tiny.png'), '--out', str(tmp_path / 'o')]) == 2
    assert 'at least 16x16 pixels' in capsys.readouterr().err
    assert not (tmp_path / 'o').exists()
