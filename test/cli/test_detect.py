# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint detect` draws and saves the keypoints of images, and names those it cannot read."""

from __future__ import annotations

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import main
from superpoint_ros.features import Features


@pytest.fixture
def photos(tmp_path):
    """Return a folder with two images of different sizes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'photos'
    folder.mkdir()
    for name, shape in (('first.png', (48, 64, 3)), ('second.jpg', (50, 37, 3))):
        cv2.imwrite(str(folder / name), rng.integers(0, 256, shape).astype(np.uint8))
    return folder


def test_detect_writes_pictures_and_arrays_for_a_folder(weights, photos, tmp_path, capsys):
    out = tmp_path / 'new' / 'out'
    status = main(
        ['detect', str(photos), '--out', str(out), '--weights', weights, '--max-keypoints', '5']
        + ['--threshold', '0', '--device', 'cpu']
    )
    assert status == 0
    assert sorted(path.name for path in out.iterdir()) == [
        'first.npz',
        'first_keypoints.png',
        'second.npz',
        'second_keypoints.png',
    ]
    features = Features.load(out / 'first.npz')
    assert features.keypoints.shape == (5, 2)
    assert features.descriptors.shape == (5, 16)
    assert np.linalg.norm(features.descriptors, axis=1) == pytest.approx(1, abs=1e-5)
    picture = cv2.imread(str(out / 'second_keypoints.png'))
    assert picture.shape == (50, 37, 3)
    said = capsys.readouterr().out
    assert said.startswith('2 images, 5 keypoints each on average: see')
    assert said.count('\n') == 1


@pytest.mark.parametrize('is_file', [False, True])
def test_detect_names_the_commands_for_bags(weights, tmp_path, is_file, capsys):
    bag = tmp_path / 'bag'
    bag.mkdir()
    (bag / 'bag.mcap').touch()
    given = bag / 'bag.mcap' if is_file else bag
    assert main(['detect', str(given), '--out', str(tmp_path / 'out'), '--weights', weights]) == 2
    assert f'{given} is a bag, not an image: add features to it' in capsys.readouterr().err


def test_detect_names_skips_and_counts_unreadable_images(weights, photos, tmp_path, capsys):
    (photos / 'broken.png').write_bytes(b'not an image')
    cv2.imwrite(str(photos / 'tiny.png'), np.zeros((8, 8), np.uint8))
    out = tmp_path / 'out'
    missing = str(photos / 'missing.png')
    status = main(['detect', str(photos), missing, '--out', str(out), '--weights', weights])
    said = capsys.readouterr()
    assert status == 1
    assert '2 images' in said.out
    assert '3 skipped' in said.out
    for name in ('broken.png', 'tiny.png', 'missing.png'):
        assert re.search(rf'skipped: .*{name}', said.err)
    assert (out / 'first.npz').is_file()
    assert not (out / 'broken.npz').exists()


def test_detect_names_a_link_that_leads_to_itself(weights, photos, tmp_path, capsys):
    (tmp_path / 'loop.png').symlink_to('loop.png')
    arguments = ['detect', str(photos), str(tmp_path / 'loop.png'), '--weights', weights]
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 1
    assert 'skipped: there is no image file' in capsys.readouterr().err


def test_detect_fails_if_no_image_can_be_read(weights, tmp_path, capsys):
    bad = tmp_path / 'bad.png'
    bad.write_bytes(b'')
    assert main(['detect', str(bad), '--out', str(tmp_path / 'o'), '--weights', weights]) == 2
    assert 'superpoint: none of the images could be read (1 skipped)' in capsys.readouterr().err
    empty = tmp_path / 'empty'
    empty.mkdir()
    assert main(['detect', str(empty), '--out', str(tmp_path / 'o'), '--weights', weights]) == 2
    assert 'there are no images in' in capsys.readouterr().err


def test_detect_names_wrong_settings_and_weights(weights, photos, tmp_path, capsys):
    common = ['detect', str(photos), '--out', str(tmp_path / 'o')]
    with pytest.raises(SystemExit) as stop:
        main([*common, '--weights', weights, '--threshold', '1.5'])
    assert stop.value.code == 2
    assert 'threshold must lie between 0.0 and 1.0, got 1.5' in capsys.readouterr().err
    assert main([*common, '--weights', str(tmp_path / 'none.safetensors')]) == 2
    assert 'none.safetensors' in capsys.readouterr().err


def test_detect_keeps_results_of_images_with_the_same_name(weights, tmp_path):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / '1.png'), np.zeros((16, 16), np.uint8))
    folders = [str(tmp_path / folder) for folder in 'ab']
    out = tmp_path / 'out'
    assert main(['detect', *folders, '--out', str(out), '--weights', weights]) == 0
    assert {path.name for path in out.glob('*.npz')} == {'1.npz', '1_2.npz'}


def test_detect_skips_an_image_that_needs_too_much_memory(weights, photos, tmp_path):
    cv2.imwrite(str(photos / 'huge.png'), np.zeros((7000, 9000), np.uint8))
    limited = (
        'import resource, sys\n'
        'from superpoint_ros.cli.main import main\n'
        'import torch\n'
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        'resource.setrlimit(resource.RLIMIT_AS, (used + 1_500_000_000,) * 2)\n'
        'sys.exit(main(sys.argv[1:]))\n'
    )
    command = ['detect', str(photos), '--out', str(tmp_path / 'out'), '--weights', weights]
    command += ['--engine', 'torch', '--device', 'cpu', '--precision', 'float32']
    done = subprocess.run(
        [sys.executable, '-c', limited, *command], capture_output=True, text=True, timeout=250
    )
    assert f'skipped: {photos / "huge.png"}: not enough memory; --max-image-size' in done.stderr
    assert 'Traceback' not in done.stderr
    assert done.stdout.startswith('2 images, ')
    assert ', 1 skipped' in done.stdout
    assert done.returncode == 1, done.stderr


def test_detect_does_not_replace_an_image_that_it_reads(weights, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ('a.png', 'a_keypoints.png'):
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 256, (16, 16)).astype(np.uint8))
    before = (tmp_path / 'a_keypoints.png').read_bytes()
    arguments = ['detect', str(tmp_path), '--out', str(tmp_path / '.'), '--weights', weights]
    assert main(arguments) == 2
    assert 'a_keypoints.png: choose another --out' in capsys.readouterr().err
    assert (tmp_path / 'a_keypoints.png').read_bytes() == before
    assert main([*arguments, '--format', 'jpg']) == 0  # no name is taken
    assert (tmp_path / 'a_keypoints.png').read_bytes() == before
