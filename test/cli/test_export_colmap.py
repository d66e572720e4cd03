# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint export-colmap` reads folders of images, and names what is wrong with them."""

from __future__ import annotations

import os
import re
import shutil
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip('pycolmap', reason='pycolmap is not installed')
pytest.importorskip('h5py', reason='h5py is not installed')
pytest.importorskip('yaml', reason='PyYAML is not installed')

import pycolmap

from superpoint_ros.cli import export_colmap
from superpoint_ros.cli.main import main
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.integrations.hloc import write_hloc
from superpoint_ros.integrations.image_matches import ImageFeatures, PairMatches
from support.colmap import write_calibration
from support.noise_pictures import noise_picture


@pytest.fixture
def pictures(tmp_path):
    """A folder with three small pictures."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f'{number}.png'), noise_picture(number))
    return folder


def run(pictures, *options):
    out = pictures.parent / 'database.db'
    return main(['export-colmap', str(pictures), '--out', str(out), *map(str, options)])


def test_images_that_cannot_be_read_are_skipped_and_named(pictures, capsys):
    (pictures / '1.png').write_bytes(b'no image')
    pairs = pictures.parent / 'pairs.txt'
    pairs.write_text('2.png 0.png\n0.png 2.png\n1.png 2.png\n')
    assert run(pictures, '--pairs', pairs) == 1
    captured = capsys.readouterr()
    assert 'skipped: ' in captured.err
    assert '1.png' in captured.err
    assert '2 images, ' in captured.out
    assert 'of 1 pair with' in captured.out
    database = pycolmap.Database.open(pictures.parent / 'database.db')
    assert sorted(image.name for image in database.read_all_images()) == ['0.png', '2.png']
    database.close()


def test_keypoints_of_turned_photographs_are_in_the_pixels_that_colmap_reads(pictures):
    jpeg = cv2.imencode('.jpg', noise_picture(0, (160, 120)))[1].tobytes()
    for orientation in range(1, 9):
        exif = struct.pack('<2sHIHHHIHHI', b'II', 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
        header = b'\xff\xe1' + struct.pack('>H', len(exif) + 8) + b'Exif\0\0' + exif
        (pictures / f'turned{orientation}.jpg').write_bytes(jpeg[:2] + header + jpeg[2:])
    assert run(pictures, '--overlap', 1) == 0
    detector = Detector.from_weights(max_keypoints=2000)
    database = pycolmap.Database.open(pictures.parent / 'database.db')
    for image in database.read_all_images():
        path = pictures / image.name
        stored = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        upright = read_image(path)
        keypoints = database.read_keypoints(image.image_id)[:, :2] - 0.5
        camera = database.read_camera(image.camera_id)
        assert (camera.width, camera.height) == stored.shape[::-1]
        expected = detector(upright).keypoints
        assert len(keypoints) == len(expected) > 10
        values = [
            cv2.remap(gray, points[:, None], None, cv2.INTER_LINEAR)
            for gray, points in ((stored, keypoints), (upright, expected))
        ]
        np.testing.assert_allclose(*map(np.float32, values), atol=1)
    database.close()


def test_files_of_hloc_are_not_replaced_and_named_before_the_detection(pictures, capfd):
    (pictures.parent / 'matches.h5').write_bytes(b'')
    assert run(pictures, '--hloc', pictures.parent) == 2
    printed = capfd.readouterr()
    assert f'{pictures.parent}/matches.h5 exists: delete it' in printed.err
    assert 'detect' not in printed.err


def test_an_error_leaves_no_file_of_hloc(tmp_path):
    images = [ImageFeatures(name, (64, 48), Features.empty(8)) for name in ('a.png', 'b.png')]

    def interrupted():
        yield PairMatches(0, 1, np.zeros((0, 2), np.int64), np.zeros(0))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_hloc(tmp_path, images, interrupted())
    assert not list(tmp_path.iterdir())
    write_hloc(tmp_path, images, [])


def test_an_image_that_needs_too_much_memory_is_skipped_and_named(pictures, capsys, monkeypatch):
    cv2.imwrite(str(pictures / 'large.png'), noise_picture(3, (128, 96)))
    detect = Detector.__call__

    def limited(self, images, *arguments):
        if getattr(images, 'shape', None) == (96, 128):
            raise MemoryError
        return detect(self, images, *arguments)

    monkeypatch.setattr(Detector, '__call__', limited)
    assert run(pictures) == 1
    captured = capsys.readouterr()
    assert (
        f'skipped: {pictures / "large.png"}: not enough memory; --max-image-size' in captured.err
    )
    assert '3 images, ' in captured.out


def test_names_that_colmap_or_hloc_cannot_hold_are_skipped(pictures, capfd):
    for name in (b'caf\xe9.png', b'my photo.png'):
        shutil.copy(pictures / '0.png', pictures / os.fsdecode(name))
    pairs = pictures.parent / 'pairs.txt'
    pairs.write_text('my photo.png 1.png\n0.png my photo.png\n')
    assert run(pictures, '--pairs', pairs) == 1
    captured = capfd.readouterr()
    assert 'rename it, COLMAP needs names in UTF-8' in captured.err
    assert '4 images, ' in captured.out
    assert 'of 2 pairs' in captured.out
    (pictures.parent / 'database.db').unlink()
    assert run(pictures, '--hloc', pictures.parent / 'hloc') == 1
    assert 'my photo.png: rename it, hloc separates names by spaces' in capfd.readouterr().err


@pytest.mark.parametrize(('with_hloc', 'checks'), [(False, 0), (False, 2), (True, 0), (True, 4)])
def test_a_full_disk_is_one_line_and_leaves_no_file(
    pictures, capfd, monkeypatch, with_hloc, checks
):
    # Before the first image, or after some images and pairs.
    free = [10**9] * checks + [10**6]
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: SimpleNamespace(free=free.pop(0)))
    assert run(pictures, *(['--hloc', pictures.parent / 'hloc'] if with_hloc else [])) == 1
    name = ('hloc/matches.h5' if checks else 'hloc/features.h5') if with_hloc else 'database.db'
    problem = r'No space left on device: [0-9.]+ MB are needed, 1\.0 MB are free'
    assert re.search(f'{name}: {problem}', capfd.readouterr().err)
    left = [path for path in pictures.parent.rglob('*') if path.is_file()]
    assert all(path.parent == pictures for path in left)


def test_images_with_one_name_in_hloc_are_named_before_the_detection(pictures, capfd):
    (pictures / 'left').mkdir()
    shutil.copy(pictures / '0.png', pictures / 'left' / '0.png')
    shutil.copy(pictures / '1.png', pictures / 'left-0.png')
    assert run(pictures, '--hloc', pictures.parent / 'hloc') == 2
    printed = capfd.readouterr().err
    assert 'left-0.png and left/0.png have the same name in the matches of hloc' in printed
    assert 'detect' not in printed
    assert run(pictures) == 0


def test_images_that_colmap_cannot_read_get_a_guessed_camera(pictures):
    noise = cv2.imread(str(pictures / '1.png'))
    (pictures / '1.png').unlink()
    cv2.imwrite(str(pictures / '1.webp'), noise, [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert run(pictures) == 0
    database = pycolmap.Database.open(pictures.parent / 'database.db')
    (image,) = [each for each in database.read_all_images() if each.name == '1.webp']
    camera = database.read_camera(image.camera_id)
    assert (camera.width, camera.height) == noise.shape[1::-1]
    assert camera.focal_length == pytest.approx(1.2 * max(noise.shape))
    database.close()


@pytest.mark.parametrize('option', ['--pairs', '--calibration'])
def test_a_wrong_file_is_refused_before_the_detection(pictures, option, capsys):
    file = pictures.parent / 'file'
    file.write_text('0.png\n')
    assert run(pictures, option, file) == 2
    error = capsys.readouterr().err
    assert str(file) in error
    assert 'detect' not in error


def test_a_calibration_of_another_size_is_refused_at_the_first_image(pictures, monkeypatch):
    read, images = export_colmap.read_for_detection, []
    monkeypatch.setattr(
        export_colmap, 'read_for_detection', lambda path: images.append(path) or read(path)
    )
    file = pictures.parent / 'c.yaml'
    write_calibration(file, CameraModel.of_view())
    assert run(pictures, '--calibration', file) == 2
    assert len(list(pictures.iterdir())) > len(images) == 1


@pytest.mark.parametrize(
    ('damage', 'options', 'message'),
    [
        (lambda folder: (folder.parent / 'database.db').touch(), [], 'database.db exists'),
        (lambda folder: [path.unlink() for path in folder.iterdir()], [], 'has no images'),
        (lambda folder: [(folder / f'{n}.png').unlink() for n in (0, 1)], [], 'needs two images'),
        (None, ['--pairs', '{}/none.txt'], 'none.txt'),
        (
            lambda folder: (folder.parent / 'p.txt').write_text('0.png 7.png\n'),
            ['--pairs', '{}/p.txt'],
            'p.txt: the folder has no image 7.png',
        ),
        (
            lambda folder: (folder.parent / 'p.txt').write_text('0.png 0.png\n'),
            ['--pairs', '{}/p.txt'],
            '0.png is paired with itself',
        ),
        (
            lambda folder: (folder.parent / 'p.txt').write_text('# none yet\n'),
            ['--pairs', '{}/p.txt'],
            'p.txt has no pairs: write two names of images in each line',
        ),
        (
            lambda folder: (folder.parent / 'database.db-wal').touch(),
            [],
            'database.db-wal exists: delete it, or choose another file',
        ),
        (
            lambda folder: (folder.parent / 'p.txt').write_text('0.png\n'),
            ['--pairs', '{}/p.txt'],
            'line 1: 2 columns are needed',
        ),
        (
            lambda folder: write_calibration(folder.parent / 'c.yaml', CameraModel.of_view()),
            ['--calibration', '{}/c.yaml'],
            'c.yaml is for images of 640x480, 0.png has 160x120',
        ),
    ],
)
def test_bad_input_is_one_clear_line(pictures, damage, options, message, capsys):
    if damage:
        damage(pictures)
    options = [option.format(pictures.parent) for option in options]
    assert run(pictures, *options) == 2
    [line] = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith('superpoint: ')
    ]
    assert message in line
