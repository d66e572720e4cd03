# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The demonstration of odometry: player, detector, tracker and visual odometry as four processes.

A camera flies through a simulated room; the poses that come are laid over the true ones, whose
topic is `ground_truth/pose`, and the picture shows both beside the tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import os
from pathlib import Path
import time

import cv2
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud

from superpoint_ros.geometry.trajectory_alignment import align
from superpoint_ros.odometry.odometry_drawing import draw_plan
from superpoint_ros.ros.player_parameters import ROOM
from superpoint_ros.ros.ros_context import ros_session
from superpoint_ros.ros.testing.demonstration import LONGEST_SIDE, measure, Progress, wait_for
from superpoint_ros.ros.testing.subprocesses import Child

_FEWEST = 10  # poses, for an error that means something
_SILENCE_TIMEOUT = 15.0
_ROOM_RATE = 12.0  # Hz: a quiet two-core machine renders, detects and draws so many


@dataclass
class Way:
    """
    Hold the poses that came, as positions by stamp, and what was measured of them.

    `latencies` are the seconds from an image's stamp to the arrival of its pose, `tracked` the
    numbers of points that were seen before, of each frame.
    """

    estimated: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    truth: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    tracked: list[int] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Messages of tracks a second; 0 where there are fewer than two."""
        if len(self.arrivals) < 2:
            return 0.0
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    def aligned(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimated positions (N, 3) in the truth's frame, and the true ones."""
        truth = np.array(list(self.truth.values())).reshape(-1, 3)
        estimated = np.array(list(self.estimated.values())).reshape(-1, 3)
        both = [stamp for stamp in self.estimated if stamp in self.truth]
        if len(both) < _FEWEST:
            return (estimated if not len(truth) else np.zeros((0, 3))), truth
        pairs = [[way[stamp] for stamp in both] for way in (self.estimated, self.truth)]
        try:
            return align(*map(np.array, pairs)).apply(estimated), truth
        except ValueError:  # the camera has not moved
            return np.zeros((0, 3)), truth

    def error(self) -> tuple[float, float] | None:
        """
        Return the root of the mean squared position error, and the length of the true way.

        Both are in metres, the estimate being aligned (turned, moved and scaled); None where there
        are too few poses or no true ones.
        """
        both = [stamp for stamp in self.estimated if stamp in self.truth]
        if len(both) < _FEWEST:
            return None
        estimated = np.array([self.estimated[stamp] for stamp in both])
        truth = np.array([self.truth[stamp] for stamp in both])
        try:
            misses = align(estimated, truth).apply(estimated) - truth
        except ValueError:
            return None
        length = np.linalg.norm(np.diff(truth, axis=0), axis=1).sum()
        return float(np.sqrt((misses**2).sum(axis=1).mean())), float(length)


class OdometryObserver(Node):
    """Receive poses, true poses, tracks and their overlay, and measure."""

    def __init__(self, namespace: str):
        super().__init__('observer', namespace=namespace)
        self.way = Way()
        self.overlay: Image | None = None
        deep = QoSProfile(depth=50)
        self._subscriptions = (
            self.create_subscription(PointCloud, 'tracks', self._on_tracks, deep),
            self.create_subscription(Odometry, 'odometry', self._on_odometry, deep),
            self.create_subscription(PoseStamped, 'ground_truth/pose', self._on_truth, deep),
            self.create_subscription(Image, 'tracks/overlay', self._on_overlay, 1),
        )

    @property
    def elapsed(self) -> float:
        """Seconds since the first tracks arrived; 0 before."""
        return time.monotonic() - self.way.arrivals[0] if self.way.arrivals else 0.0

    @property
    def is_silent(self) -> bool:
        """Return whether no tracks have come for long."""
        return time.monotonic() - self.way.arrivals[-1] > _SILENCE_TIMEOUT

    def state(self) -> str:
        """Return what is measured at present, in a line."""
        way = self.way
        text = f'{way.rate:5.1f} Hz, {way.tracked[-1]:4d} tracks, {len(way.estimated):4d} poses'
        error = way.error()
        if error:
            text += f', error {100 * error[0]:.1f} cm in {error[1]:.1f} m'
        return text

    def _on_tracks(self, message: PointCloud) -> None:
        self.way.arrivals.append(time.monotonic())
        velocities = zip(message.channels[-2].values, message.channels[-1].values, strict=True)
        self.way.tracked.append(sum(x != 0 or y != 0 for x, y in velocities))

    def _on_odometry(self, message: Odometry) -> None:
        latency = self.get_clock().now() - Time.from_msg(message.header.stamp)
        self.way.latencies.append(latency.nanoseconds / 1e9)
        self.way.estimated[_stamp(message)] = _place(message.pose.pose)

    def _on_truth(self, message: PoseStamped) -> None:
        self.way.truth[_stamp(message)] = _place(message.pose)

    def _on_overlay(self, message: Image) -> None:
        self.overlay = message


def run_odometry_demonstration(
    source: str,
    folder: Path,
    seconds: float,
    detector_parameters: dict[str, object],
    progress: Progress,
) -> tuple[Way, Path]:
    """
    Return what was measured in `seconds`, and the picture's path in `folder`.

    `source` is as the player's parameter, empty for the simulated room; its camera must be
    calibrated. The rest is as in `run_demonstration`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    namespace = f'/superpoint_demo_{os.getpid()}'
    player_parameters = {'source': source or ROOM, 'max_side': LONGEST_SIDE, 'loop': False}
    if not source:
        player_parameters['rate'] = _ROOM_RATE
    parameters = {
        'visual_odometry': {},
        'tracker': {},
        'detector': {'max_keypoints': 600, **detector_parameters},
        'player': player_parameters,
    }
    children = [Child(name, namespace, values, folder) for name, values in parameters.items()]
    workers, player = children[:-1], children[-1]
    with ros_session():
        try:
            observer = OdometryObserver(namespace)
            for child in workers:
                child.start()
            progress(0.0, 'starting detector, tracker and odometry')
            topics = ('features', 'tracks', 'odometry')
            wait_for(
                observer, workers, lambda: all(map(observer.count_publishers, topics)), progress
            )
            player.start()
            progress(0.0, 'waiting for the first tracks')
            wait_for(observer, children, lambda: observer.way.arrivals, progress)
            measure(observer, children, seconds, progress)
        finally:
            for child in reversed(children):
                child.stop()
    return observer.way, _write_picture(observer, folder / 'odometry.jpg')


def _write_picture(observer: OdometryObserver, path: Path) -> Path:
    """Return the path, at which the tracks are beside the plan of the ways now."""
    if observer.overlay is None:
        raise ChildProcessError('no overlay of the tracks came: no picture')
    message = observer.overlay
    tracks = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
    error, caption = observer.way.error(), f'{len(observer.way.estimated)} poses'
    if error:
        caption += f', error {100 * error[0]:.1f} cm in {error[1]:.1f} m'
    plan = draw_plan(*observer.way.aligned(), (message.width, message.height), caption)
    if not cv2.imwrite(str(path), np.hstack([tracks, plan])):
        raise OSError(f'the picture {path} could not be written')
    return path


def _stamp(message: Odometry | PoseStamped) -> tuple[int, int]:
    """Return the header's stamp as something that can be compared."""
    return message.header.stamp.sec, message.header.stamp.nanosec


def _place(pose) -> np.ndarray:
    return np.array([pose.position.x, pose.position.y, pose.position.z])
