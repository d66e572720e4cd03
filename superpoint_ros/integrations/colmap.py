# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
COLMAP databases with our keypoints, descriptors and geometrically verified matches (pycolmap).

In COLMAP the centre of the top-left pixel is (0.5, 0.5): keypoints and principal points are moved
by half a pixel. Descriptors are stored as the bytes of float32 with COLMAP's type UNDEFINED:
COLMAP cannot match them itself, and need not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pycolmap

from superpoint_ros.common.file_writing import check_space, unfinished_folder
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.integrations.image_matches import ImageFeatures, PairMatches

CENTRE = 0.5
"""Coordinate of the centre of the first pixel in COLMAP; here it is 0."""

_ROW_BYTES = 1000
"""Size of the other numbers of an image or a pair."""

MAX_ERROR = 4.0
"""Largest distance in pixels of a verified match from the epipolar line: COLMAP's default."""


def camera_of_image(path: Path, size: tuple[int, int]) -> pycolmap.Camera:
    """
    Return a camera for COLMAP to calibrate: SIMPLE_RADIAL, with the focal length of the EXIF data.

    Without such data, or if COLMAP cannot read the image, it is 1.2 times the longer side of the
    image, COLMAP's guess. `size` is (width, height) in pixels.
    """
    try:
        camera = pycolmap.infer_camera_from_image(path)
        if (camera.width, camera.height) == size:
            return camera
    except ValueError:  # a format that COLMAP does not read, such as WebP
        pass
    focal = 1.2 * max(size)
    return pycolmap.Camera.create_from_model_name(0, 'SIMPLE_RADIAL', focal, *size)


def calibrated_camera(calibration: CameraModel) -> pycolmap.Camera:
    """
    Return the camera of a calibration.

    The model is PINHOLE, OPENCV, FULL_OPENCV or OPENCV_FISHEYE. Raises ValueError for a distortion
    that COLMAP has no model for.
    """
    distortion = np.trim_zeros(calibration.distortion, 'b')
    name = _camera_model(calibration.model, len(distortion))
    matrix = calibration.matrix
    center = matrix[:2, 2] + CENTRE
    camera = pycolmap.Camera.create_from_model_name(0, name, matrix[0, 0], *calibration.size)
    params = np.zeros(len(camera.params))
    params[:4] = matrix[0, 0], matrix[1, 1], *center
    params[4 : 4 + len(distortion)] = distortion
    camera.params = params
    camera.has_prior_focal_length = True
    return camera


def _camera_model(model: str, count: int) -> str:
    """Return COLMAP's name of a distortion model of which `count` coefficients are used."""
    if not count:
        return 'OPENCV_FISHEYE' if model == 'equidistant' else 'PINHOLE'
    if model == 'equidistant' and count <= 4:
        return 'OPENCV_FISHEYE'
    if model in ('plumb_bob', 'rational_polynomial') and count <= 8:
        return 'OPENCV' if count <= 4 else 'FULL_OPENCV'
    raise ValueError(
        f'COLMAP has no camera model for {model} with {count} coefficients: rectify the images, '
        'or use plumb_bob, rational_polynomial with at most 8, or equidistant'
    )


def write_database(
    path: Path,
    images: Sequence[ImageFeatures],
    cameras: Sequence[pycolmap.Camera],
    matches: Iterable[PairMatches],
    max_error: float = MAX_ERROR,
) -> int:
    """
    Write a COLMAP database and return the number of pairs with verified matches.

    A match is verified if it fits the two-view geometry that COLMAP estimates by RANSAC. The file
    appears when it is complete. Raises FileExistsError if it exists, OSError if the disk is full.

    Args:
        path: of the new database.
        images: features of the images.
        cameras: of each image; equal cameras become one.
        matches: of pairs of images.
        max_error: largest distance in pixels of a verified match from the epipolar line.

    """
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.max_error = max_error
    options.ransac.random_seed = 0  # the same input gives the same database
    verified = 0
    size = sum(_bytes_of(image.features) for image in images)
    with _new_database(path) as (database, folder):
        _check_space(path, folder, size)
        numbers = _write_images(database, images, cameras)
        points = [image.features.keypoints.astype(np.float64) + CENTRE for image in images]
        for a, b, pairs, _ in matches:
            indices = pairs.astype(np.uint32)
            size += 2 * indices.nbytes + _ROW_BYTES
            _check_space(path, folder, size)
            geometry = pycolmap.estimate_two_view_geometry(
                cameras[a], points[a], cameras[b], points[b], indices, options
            )
            database.write_matches(numbers[a], numbers[b], indices)
            database.write_two_view_geometry(numbers[a], numbers[b], geometry)
            verified += len(geometry.inlier_matches) > 0
    return verified


def _bytes_of(features: Features) -> int:
    """Return the size of the features of an image in the database."""
    return features.keypoints.nbytes + features.descriptors.nbytes + _ROW_BYTES


def _check_space(path: Path, folder: Path, size: int) -> None:
    """
    Raise OSError if the disk is too small for a database with `size` bytes of data.

    The database is made in `folder`. COLMAP ends the process if SQLite cannot write. SQLite writes
    everything twice: to its log, and from there to the database.
    """
    written = sum(each.stat().st_size for each in folder.iterdir())
    check_space(path, 2 * size - written)


@contextmanager
def _new_database(path: Path) -> Iterator[tuple[pycolmap.Database, Path]]:
    """
    Give a database that gets its name when it is complete, and the folder in which it is made.

    It is deleted after an error.
    """
    with unfinished_folder(path) as folder:
        # SQLite would apply a log that a program left which did not end properly.
        for used in (path, *(path.with_name(path.name + end) for end in ('-wal', '-journal'))):
            if used.exists():
                raise FileExistsError(f'{used} exists: delete it, or choose another file')
        database = pycolmap.Database.open(folder / path.name)
        try:
            with pycolmap.DatabaseTransaction(database):
                yield database, folder
        finally:
            database.close()
        (folder / path.name).rename(path)


def _write_images(
    database: pycolmap.Database,
    images: Sequence[ImageFeatures],
    cameras: Sequence[pycolmap.Camera],
) -> list[int]:
    """Write cameras, images and features; return the numbers of the images in the database."""
    written: dict[tuple, tuple[pycolmap.Camera, int]] = {}
    numbers = []
    for image, camera in zip(images, cameras, strict=True):
        key = (camera.model, camera.width, camera.height, *camera.params)
        if key not in written:
            written[key] = _write_camera(database, camera)
        stored, rig = written[key]
        number = database.write_image(pycolmap.Image(image.name, camera_id=stored.camera_id))
        frame = pycolmap.Frame()
        frame.rig_id = rig
        frame.add_data_id(database.read_image(number).data_id)
        database.write_frame(frame)
        features = image.features
        database.write_keypoints(number, features.keypoints + np.float32(CENTRE))
        bytes_of_rows = np.ascontiguousarray(features.descriptors, np.float32).view(np.uint8)
        kind = pycolmap.FeatureExtractorType.UNDEFINED
        descriptors = pycolmap.FeatureDescriptors(kind, bytes_of_rows)
        database.write_descriptors(number, descriptors)
        numbers.append(number)
    return numbers


def _write_camera(
    database: pycolmap.Database, camera: pycolmap.Camera
) -> tuple[pycolmap.Camera, int]:
    """Write a camera and its rig of one sensor; return both as stored, the rig by its number."""
    stored = database.read_camera(database.write_camera(camera))
    rig = pycolmap.Rig()
    rig.add_ref_sensor(stored.sensor_id)
    return stored, database.write_rig(rig)
