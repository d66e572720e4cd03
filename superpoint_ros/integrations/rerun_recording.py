# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Images, keypoints, tracks, trajectories and map points for the Rerun viewer (rerun-sdk).

A recording is shown live or written to a .rrd file. It has scenes, one for each camera or
sequence; the entities of a scene are, below its name:

- `world/camera`: pose of the camera; `world/camera/image`: image and calibration.
- `world/camera/image/keypoints/METHOD`, `.../tracks/METHOD`, `.../motion/METHOD`: points in the
  image, and lines to the previous positions of tracks.
- `world/METHOD/trajectory`, `world/METHOD/map`: positions of the camera and points of the map.

Timelines are `frame`, the number of the frame, and `time`, its stamp. In Rerun the corner of the
top-left pixel is (0, 0): points are moved by half a pixel. Rerun's cameras have no distortion.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
import re
import sys
import sysconfig
from unittest.mock import patch

import cv2
import numpy as np
import rerun
from rerun import blueprint

from superpoint_ros.common.file_reading import check_utf8
from superpoint_ros.common.file_writing import partial_name
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.visualization import ranked_colors

_log = logging.getLogger(__name__)

METHOD = 'SuperPoint'
TRUTH = 'truth'

COLORS = {TRUTH: (150, 150, 150), METHOD: (60, 200, 80)}
"""Colours of trajectories, RGB."""

_OTHERS = ((230, 140, 40), (70, 130, 230), (180, 90, 200), (220, 80, 80))
_CORNER = 0.5  # coordinate of the centre of the first pixel
_POINT, _MAP_POINT = 2.5, 1.5  # radii in pixels of the screen
_LINE = 1.5
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 85)
_OLD = 20
"""Age in frames from which a track has the colour of old ones."""
_DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY')
_SECONDS_OF_EPOCH = 1e8
"""Stamps above this are seconds since 1970, others since the start of the sequence."""


class RerunRecording:
    """
    A stream of scenes to the Rerun viewer, or to a file.

    Use it as a context manager: the file appears at its end, also after an error or Ctrl-C. If
    nothing was logged, there is none, and a previous file is unchanged. If the viewer is closed
    before the end, a warning says so. Raises ValueError for a file whose name does not end in .rrd
    or is not UTF-8, OSError if it cannot be written or the viewer does not start. A file that
    cannot be completed, for instance if the disk is full, is removed: OSError at the end, or a
    warning after another error.
    """

    def __init__(self, path: Path | None = None):
        self._stream = rerun.RecordingStream('superpoint_ros')
        self._scenes: dict[str, str] = {}
        self._logged: set[str] = set()
        self._path = path
        if path is None:
            _start_viewer(self._stream)
            return
        if path.suffix != '.rrd':
            raise ValueError(f'a recording of Rerun must be a file FILE.rrd, got {path}')
        check_utf8(path, 'Rerun')
        self._partial = partial_name(path)
        try:
            self._stream.save(self._partial)
        except RuntimeError as error:
            raise self._removed(error) from error

    def __enter__(self) -> RerunRecording:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        try:
            self._stream.flush()
        except RuntimeError as error:
            if self._path is not None:
                problem = self._removed(error)
                if kind is None:
                    raise problem from error
                _log.warning('%s', problem)
                return
            _log.warning('the Rerun viewer does not answer; was it closed? (%s)', error)
        self._stream.disconnect()
        if self._path is None:
            return
        if self._logged:
            self._partial.replace(self._path)
        else:
            self._partial.unlink()

    def _removed(self, error: RuntimeError) -> OSError:
        """Remove the file that Rerun cannot write, and return the error that names its path."""
        self._partial.unlink(missing_ok=True)
        return OSError(f'{self._path} cannot be written: is the disk full? ({error})')

    def scene(self, name: str, method: str = METHOD) -> RerunScene:
        """
        Return a new scene, which gets its own tab in the viewer.

        `method` is the one whose points are drawn in the images at first.
        """
        root = _part(name)
        self._scenes[root] = _part(method)
        tabs = [_views(*each) for each in self._scenes.items()]
        self._stream.send_blueprint(
            blueprint.Blueprint(
                blueprint.Tabs(*tabs, active_tab=len(tabs) - 1) if len(tabs) > 1 else tabs[0],
                collapse_panels=True,
            )
        )
        return RerunScene(self._stream, root, self._logged)


def _start_viewer(stream: rerun.RecordingStream) -> None:
    """Show a stream in a new viewer; raise OSError if that does not start."""
    # The viewer would end without a message.
    if sys.platform == 'linux' and not any(map(os.environ.get, _DISPLAYS)):
        raise OSError('there is no display for the Rerun viewer: give a file, FILE.rrd')
    # pip installs the viewer next to this Python, which need not be in the PATH.
    folders = (os.environ.get('PATH', os.defpath), sysconfig.get_path('scripts'))
    try:
        with patch.dict(os.environ, PATH=os.pathsep.join(folders)):
            stream.spawn()
    except Exception as error:
        raise OSError(
            f'the Rerun viewer does not start; give a file, FILE.rrd, instead: {error}'
        ) from error


class RerunScene:
    """
    What one camera sees, and where it is; made by `RerunRecording.scene`.

    The paths of all logged entities are added to `logged`.
    """

    def __init__(self, stream: rerun.RecordingStream, root: str, logged: set[str]):
        self._stream, self._root, self._logged = stream, root, logged
        self._colors = dict(COLORS)

    def set_time(self, frame: int | None = None, stamp: float | None = None) -> None:
        """Set the time of what is logged next: number of the frame, or stamp in seconds."""
        if frame is not None:
            self._stream.set_time('frame', sequence=frame)
        if stamp is not None and stamp > _SECONDS_OF_EPOCH:
            self._stream.set_time('time', timestamp=stamp)
        elif stamp is not None:
            self._stream.set_time('time', duration=stamp)

    def log_image(self, image: np.ndarray) -> None:
        """Log a uint8 image (H, W) or BGR (H, W, 3), as JPEG."""
        content = cv2.imencode('.jpg', image, _JPEG)[1].tobytes()
        encoded = rerun.EncodedImage(contents=content, media_type='image/jpeg')
        self._log('world/camera/image', encoded)

    def log_keypoints(self, features: Features, method: str = METHOD) -> None:
        """Log keypoints, from green (highest score) over yellow to red (lowest)."""
        points = rerun.Points2D(
            features.keypoints + _CORNER,
            colors=_rgb(ranked_colors(len(features))),
            radii=rerun.Radius.ui_points(_POINT),
        )
        self._log(f'world/camera/image/keypoints/{_part(method)}', points)

    def log_tracks(self, tracks: Tracks, method: str = METHOD) -> None:
        """Log tracks, new ones red and old ones green, and their motion since the last frame."""
        ranks = np.minimum(tracks.ages - 1, _OLD) / _OLD
        palette = ranked_colors(_OLD + 1)[::-1]
        colors = _rgb([palette[round(rank * _OLD)] for rank in ranks])
        points = tracks.keypoints + _CORNER
        self._log(
            f'world/camera/image/tracks/{_part(method)}',
            rerun.Points2D(points, colors=colors, radii=rerun.Radius.ui_points(_POINT)),
        )
        seen = np.isfinite(tracks.previous).all(axis=1)
        lines = np.stack([tracks.previous[seen] + _CORNER, points[seen]], axis=1)
        motion = rerun.LineStrips2D(lines, colors=colors[seen])
        self._log(f'world/camera/image/motion/{_part(method)}', motion)

    def log_camera(self, pose: np.ndarray, camera: CameraModel | None = None) -> None:
        """Log the pose (4, 4), camera to world, and the calibration of the camera."""
        self._log('world/camera', rerun.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
        if camera is not None:
            matrix = camera.matrix.copy()
            matrix[:2, 2] += _CORNER
            pinhole = rerun.Pinhole(
                image_from_camera=matrix,
                resolution=camera.size,
                camera_xyz=rerun.ViewCoordinates.RDF,
            )
            self._log('world/camera/image', pinhole)

    def log_trajectory(self, positions: np.ndarray, method: str = METHOD) -> None:
        """Log the positions (N, 3) of the camera up to now."""
        line = rerun.LineStrips3D(
            [positions] if len(positions) > 1 else [],
            colors=[self._color(method)],
            radii=rerun.Radius.ui_points(_LINE),
        )
        self._log(f'world/{_part(method)}/trajectory', line)

    def log_map(self, points: np.ndarray, method: str = METHOD) -> None:
        """Log the points (N, 3) of the map, in the frame of the trajectory."""
        cloud = rerun.Points3D(
            points, colors=[self._color(method)], radii=rerun.Radius.ui_points(_MAP_POINT)
        )
        self._log(f'world/{_part(method)}/map', cloud)

    def _color(self, method: str) -> tuple[int, int, int]:
        """Return the colour of a method; each gets another one."""
        number = len(self._colors) - len(COLORS)
        return self._colors.setdefault(method, _OTHERS[number % len(_OTHERS)])

    def _log(self, path: str, content: rerun.AsComponents) -> None:
        entity = f'{self._root}/{path}'
        self._stream.log(entity, content)
        self._logged.add(entity)


def _part(name: str) -> str:
    """Return a name as a part of the path of an entity, without characters to be escaped."""
    return '_'.join(re.findall(r'[\w.-]+', name))


def _rgb(colors: list[tuple[int, int, int]]) -> np.ndarray:
    """Return BGR colours as RGB, uint8 (N, 3)."""
    return np.array(colors, np.uint8).reshape(-1, 3)[:, ::-1]


def _views(scene: str, method: str) -> blueprint.Horizontal:
    """Return the views of a scene: keypoints, tracks, and the world."""
    image = f'{scene}/world/camera/image'
    return blueprint.Horizontal(
        blueprint.Vertical(
            blueprint.Spatial2DView(
                origin=image, contents=['$origin', f'$origin/keypoints/{method}'], name='keypoints'
            ),
            blueprint.Spatial2DView(
                origin=image,
                contents=['$origin', f'$origin/tracks/{method}', f'$origin/motion/{method}'],
                name='tracks',
            ),
        ),
        blueprint.Spatial3DView(
            origin=f'{scene}/world',
            contents=['$origin/**', '- $origin/camera/image/keypoints/**'],
            name='trajectories and map',
        ),
        column_shares=[2, 3],
        name=scene,
    )
