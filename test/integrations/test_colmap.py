# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""COLMAP reconstructs a scene from the database that `superpoint export-colmap` writes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('pycolmap', reason='pycolmap is not installed')
pytest.importorskip('h5py', reason='h5py is not installed')
pytest.importorskip('yaml', reason='PyYAML is not installed')

import h5py
import pycolmap

from superpoint_ros.cli.main import main
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.trajectory_alignment import align
from superpoint_ros.integrations.colmap import calibrated_camera, write_database
from superpoint_ros.integrations.image_matches import (
    choose_pairs,
    ImageFeatures,
    PairMatches,
)
from superpoint_ros.resources import demo_photographs
from superpoint_ros.simulation.room import SimulatedRoom
from support.colmap import write_calibration

COUNT = 10


@pytest.fixture(scope='module')
def room():
    # A frame every quarter of a second: the camera moves 0.1 m and turns a few degrees.
    return SimulatedRoom(demo_photographs(), rate=4, count=COUNT)


@pytest.fixture(scope='module')
def walk(room, tmp_path_factory):
    """A folder of frames in two subfolders, with the calibration of the camera."""
    folder = tmp_path_factory.mktemp('walk')
    for number, frame in enumerate(room):
        path = folder / 'images' / ('first' if number < COUNT // 2 else 'second')
        path.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path / f'{frame.name}.png'), frame.image)
    write_calibration(folder / 'camera.yaml', room.camera)
    return folder


@pytest.fixture(scope='module')
def exported(walk):
    """Export the walk, and return the folder with database.db and the folder hloc."""
    arguments = f'export-colmap {walk}/images --out {walk}/database.db --hloc {walk}/hloc '
    arguments += f'--calibration {walk}/camera.yaml --precision float32'
    assert main(arguments.split()) == 0
    return walk


def test_colmap_registers_all_images_of_a_walk_with_small_errors(exported, room, tmp_path):
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed, options.num_threads = 0, 2
    models = pycolmap.incremental_mapping(
        exported / 'database.db', exported / 'images', tmp_path, options
    )
    [model] = models.values()
    assert model.num_reg_images() == COUNT
    # Measured: 0.38 px, tracks of 8 images.
    assert model.compute_mean_reprojection_error() < 0.5
    assert model.compute_mean_track_length() > 5
    stored = {image.name: image.projection_center() for image in model.images.values()}
    centers = np.array([stored[name] for name in sorted(stored)])
    truth = np.array([room.pose(number / room.rate)[:3, 3] for number in range(COUNT)])
    errors = np.linalg.norm(align(centers, truth).apply(centers) - truth, axis=1)
    assert errors.max() < 0.01 * np.linalg.norm(np.diff(truth, axis=0), axis=1).sum()


def test_the_database_has_colmaps_pixels_and_our_descriptors(exported, room):
    detector = Detector.from_weights(precision='float32', max_keypoints=2000)
    image = cv2.imread(str(exported / 'images' / 'second' / '000007.png'), cv2.IMREAD_GRAYSCALE)
    features = detector(image)
    database = pycolmap.Database.open(exported / 'database.db')
    stored = database.read_image_with_name('second/000007.png')
    # The centre of the first pixel is (0.5, 0.5) in COLMAP.
    keypoints = database.read_keypoints(stored.image_id)[:, :2]
    np.testing.assert_allclose(keypoints, features.keypoints + 0.5, atol=1e-3)
    descriptors = database.read_descriptors(stored.image_id)
    np.testing.assert_allclose(
        np.ascontiguousarray(descriptors.data).view(np.float32), features.descriptors, atol=1e-3
    )
    assert database.num_cameras() == 1
    camera = database.read_camera(stored.camera_id)
    assert (camera.width, camera.height) == room.camera.size
    expected = [*room.camera.matrix.diagonal()[:2], *room.camera.matrix[:2, 2] + 0.5]
    np.testing.assert_allclose(camera.params, expected)
    assert camera.has_prior_focal_length
    assert database.num_matched_image_pairs() == COUNT * (COUNT - 1) // 2
    database.close()


def test_hloc_files_have_features_and_matches_of_each_pair(exported):
    with h5py.File(exported / 'hloc' / 'features.h5') as file:
        groups = {name: file[name] for name in ('first/000003.png', 'second/000006.png')}
        arrays = {
            name: {key: np.array(group[key]) for key in group} for name, group in groups.items()
        }
    first, second = arrays.values()
    assert set(first) == {'keypoints', 'scores', 'descriptors', 'image_size'}
    assert first['image_size'].tolist() == [640, 480]
    assert first['keypoints'].shape == (len(first['scores']), 2)
    assert first['descriptors'].shape[1] == len(first['scores'])
    np.testing.assert_allclose(np.linalg.norm(first['descriptors'], axis=0), 1, atol=1e-4)
    database = pycolmap.Database.open(exported / 'database.db')
    numbers = [database.read_image_with_name(name).image_id for name in arrays]
    # hloc adds 0.5 when it fills a database.
    keypoints = database.read_keypoints(numbers[0])[:, :2]
    np.testing.assert_allclose(first['keypoints'] + 0.5, keypoints, atol=1e-5)
    pairs = database.read_matches(*numbers)
    database.close()
    with h5py.File(exported / 'hloc' / 'matches.h5') as file:
        group = file['first-000003.png/second-000006.png']
        matches, scores = np.array(group['matches0']), np.array(group['matching_scores0'])
    assert len(matches) == len(scores) == len(first['scores'])
    matched = np.flatnonzero(matches >= 0)
    np.testing.assert_array_equal(np.c_[matched, matches[matched]], pairs)
    similarities = (
        first['descriptors'][:, matched] * second['descriptors'][:, matches[matched]]
    ).sum(axis=0)
    np.testing.assert_allclose(scores[matched], similarities, atol=1e-5)
    lines = (exported / 'hloc' / 'pairs.txt').read_text().splitlines()
    assert len(lines) == COUNT * (COUNT - 1) // 2
    assert 'first/000003.png second/000006.png' in lines


@pytest.mark.parametrize(
    ('model', 'distortion', 'name'),
    [
        ('plumb_bob', [], 'PINHOLE'),
        ('plumb_bob', [0.1, -0.2, 0.003, -0.002, 0], 'OPENCV'),
        ('plumb_bob', [0.1, -0.2, 0.003, -0.002, 0.05], 'FULL_OPENCV'),
        ('rational_polynomial', [0.1, 0.2, 0.001, 0.002, 0.05, 0.3, 0.1, 0.02], 'FULL_OPENCV'),
        ('equidistant', [0.05, -0.01, 0.002, 0.001], 'OPENCV_FISHEYE'),
        ('equidistant', [], 'OPENCV_FISHEYE'),
    ],
)
def test_a_calibrated_camera_projects_as_in_ros(model, distortion, name):
    matrix = np.array([[420, 0, 301], [0, 430, 255], [0, 0, 1]], float)
    calibration = CameraModel(model, matrix, distortion, (640, 480))
    camera = calibrated_camera(calibration)
    assert camera.model_name == name
    pixels = np.array([[12, 30], [301, 255], [600, 400]], float)
    points = np.c_[calibration.normalize(pixels), np.ones(3)].astype(float)
    seen = np.array([camera.img_from_cam(point) for point in points])
    np.testing.assert_allclose(seen, pixels + 0.5, atol=0.06)


def test_a_distortion_that_colmap_does_not_have_is_named():
    matrix = np.array([[420, 0, 301], [0, 430, 255], [0, 0, 1]], float)
    tilted = CameraModel('rational_polynomial', matrix, [*[0.01] * 12], (640, 480))
    with pytest.raises(ValueError, match='no camera model for rational_polynomial with 12'):
        calibrated_camera(tilted)


def test_pairs_of_a_sequence_overlap():
    assert choose_pairs(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert choose_pairs(4, 1) == [(0, 1), (1, 2), (2, 3)]
    with pytest.raises(ValueError, match='overlap must be 1 or more'):
        choose_pairs(4, 0)


def test_images_without_keypoints_are_part_of_the_database(tmp_path):
    images = [ImageFeatures(name, (64, 48), Features.empty(8)) for name in ('a.png', 'b.png')]
    camera = calibrated_camera(CameraModel.of_view((64, 48)))
    none = PairMatches(0, 1, np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
    assert write_database(tmp_path / 'new' / 'd.db', images, [camera, camera], [none]) == 0
    database = pycolmap.Database.open(tmp_path / 'new' / 'd.db')
    assert database.num_images() == database.num_frames() == 2
    assert database.num_keypoints() == 0
    database.close()


def test_an_error_leaves_no_database(tmp_path):
    images = [ImageFeatures('a.png', (64, 48), Features.empty(8))]
    camera = calibrated_camera(CameraModel.of_view((64, 48)))

    def broken():
        raise RuntimeError('disk')
        yield

    with pytest.raises(RuntimeError, match='disk'):
        write_database(tmp_path / 'd.db', images, [camera], broken())
    assert list(tmp_path.iterdir()) == []
