# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rectification of stereo sequences: corresponding points of both images lie in the same row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.sequences.sequence import (
    Frame,
    FrameSequence,
    naming_frame,
    SecondCamera,
)
from superpoint_ros.geometry.camera_model import CameraModel

_ROWS = 1e-3  # pixels by which rows of a pair that needs no rectification may differ


class _Map(NamedTuple):
    """Camera of an image, and x and y in the image of each pixel of the rectified one."""

    camera: CameraModel
    x: np.ndarray
    y: np.ndarray

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the rectified image; raise CameraModelError if the camera has another size."""
        self.camera.check_size(image.shape[1::-1])
        return cv2.remap(image, self.x, self.y, cv2.INTER_LINEAR)


class RectifiedStereo(FrameSequence):
    """
    Rectified frames of a stereo sequence whose frames have second images.

    `camera` is the calibration of both images, without distortion; the second camera is
    `baseline` metres to the right of the first. Poses are those of the rectified first camera.
    Pairs that are rectified already, as those of KITTI, are passed through. Raises ValueError for
    a sequence without calibration or second camera, and if the second camera is not on the right;
    and, when it is reached, for a frame whose images have another size than the calibrations.
    """

    def __init__(self, sequence: FrameSequence):
        second = sequence.second_camera
        if sequence.camera is None or second is None:
            lacking = 'calibration' if sequence.camera is None else 'second camera'
            raise ValueError(f'a stereo sequence is needed, this one has no {lacking}')
        self._sequence, self.rate = sequence, sequence.rate
        self._maps: list[_Map] = []
        self._turn = np.eye(4)
        self.camera = sequence.camera
        self.baseline = float(second.pose[0, 3])
        if not second.pose[:3, 3].any():
            raise ValueError('both cameras are in one place: check their calibrations')
        if not _is_rectified(sequence.camera, second):
            self._rectify(sequence.camera, second)
        if not self.baseline > 0:
            raise ValueError(
                'the second camera must be to the right of the first: exchange the cameras'
            )
        pose = np.eye(4)
        pose[0, 3] = self.baseline
        self.second_camera = SecondCamera(self.camera, pose)

    def _rectify(self, first: CameraModel, second: SecondCamera) -> None:
        """Compute calibration, rotation and maps of the rectified pair."""
        to_second = np.linalg.inv(second.pose)
        rotation, translation = to_second[:3, :3], to_second[:3, 3]
        cameras = (first, second.camera)
        distortions = [each.coefficients for each in cameras]
        size = first.size
        is_fisheye = first.model == 'equidistant'
        rectify = cv2.fisheye.stereoRectify if is_fisheye else partial(cv2.stereoRectify, alpha=0)
        r1, r2, p1, p2, *_ = rectify(
            *(first.matrix, distortions[0], second.camera.matrix, distortions[1]),
            *(size, rotation, translation),
            flags=cv2.CALIB_ZERO_DISPARITY,
        )
        if abs(p2[1, 3]) > abs(p2[0, 3]):
            raise ValueError('one camera is above the other; they must be side by side')
        self.baseline = float(-p2[0, 3] / p2[0, 0])
        self.camera = CameraModel('plumb_bob', p1[:, :3], np.zeros(0), size)
        self._turn[:3, :3] = r1.T
        for camera, distortion, turn, projection in zip(
            cameras, distortions, (r1, r2), (p1, p2), strict=True
        ):
            undistort = cv2.fisheye if camera.model == 'equidistant' else cv2
            maps = undistort.initUndistortRectifyMap(
                camera.matrix, distortion, turn, projection[:, :3], size, cv2.CV_32FC1
            )
            self._maps.append(_Map(camera, *maps))

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._sequence:
            if not self._maps:
                yield frame
                continue
            with naming_frame(frame):
                image, second = (
                    None if each is None else camera.apply(each)
                    for each, camera in zip((frame.image, frame.second), self._maps, strict=True)
                )
            pose = None if frame.pose is None else frame.pose @ self._turn
            # Depth belongs to the pixels of the original image.
            yield replace(frame, image=image, second=second, pose=pose, depth=None)


def _is_rectified(first: CameraModel, second: SecondCamera) -> bool:
    """Return whether corresponding points lie in the same row without rectification."""
    matrix, pose = second.camera.matrix, second.pose
    return (
        not first.distortion.any()
        and not second.camera.distortion.any()
        and first.size == second.camera.size
        and np.allclose(first.matrix, matrix, atol=_ROWS, rtol=0)
        and np.allclose(pose[:3, :3], np.eye(3), atol=1e-6)
        # Height and distance differ by less than a hundredth of the baseline, as in KITTI.
        and np.abs(pose[1:3, 3]).max() <= 0.01 * abs(pose[0, 3])
    )
