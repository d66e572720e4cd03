# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The demonstration of odometry: player, detector, tracker and visual odometry as four processes.

A camera flies through a simulated room. The estimated poses are aligned with the true ones, from
the topic `ground_truth/pose`; a picture shows both trajectories and the tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
import time
from typing import TYPE_CHECKING

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud

from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.opening import open_sequence
from superpoint_ros.geometry.trajectory_alignment import (
    MIN_POSES,
    position_errors,
    StampedTrajectories,
)
from superpoint_ros.odometry.odometry_drawing import draw_plan
from superpoint_ros.ros.messages.image_messages import stamp_key
from superpoint_ros.ros.player_parameters import ROOM
from superpoint_ros.ros.testing.demonstration import (
    add_rerun_node,
    Arrivals,
    LONGEST_SIDE,
    MeasuringNode,
    Progress,
    run_and_measure,
)
from superpoint_ros.ros.testing.subprocesses import NodeProcess, private_namespace, ros_session
from superpoint_ros.visualization import write_picture

if TYPE_CHECKING:
    from superpoint_ros.integrations.rerun_recording import RerunRecording

_PLAN_SIZE = (320, 240)  # least width and height in pixels: room for the legend
_ROOM_RATE = 12.0  # Hz: what a two-core machine renders, detects and draws


@dataclass
class OdometryMeasurements(Arrivals, StampedTrajectories):
    """
    The poses received, with their latencies, and the times of arrival of the tracks.

    `tracked` is the number of points of each frame that had been seen before.
    """

    tracked: list[int] = field(default_factory=list)

    def error(self) -> tuple[float, float] | None:
        """
        Return the RMS position error and the length of the true trajectory, in metres.

        The estimate is aligned by a similarity. None if there are too few poses, or no true ones.
        """
        estimated, truth = self.pairs()
        if len(truth) < MIN_POSES:
            return None
        try:
            errors = position_errors(estimated, truth)
        except ValueError:
            return None
        length = np.linalg.norm(np.diff(truth, axis=0), axis=1).sum()
        return float(np.sqrt((errors**2).mean())), float(length)

    def summary_of_error(self) -> str:
        """Return the number of poses and the error, if it is known."""
        text, error = counted(len(self.estimated), 'pose'), self.error()
        if error:
            text += f', error {100 * error[0]:.1f} cm in {error[1]:.1f} m'
        return text


class OdometryObserver(MeasuringNode):
    """Receive poses, true poses, tracks and their overlay, and measure."""

    def __init__(self, namespace: str):
        super().__init__('observer', namespace=namespace)
        self.measurements = OdometryMeasurements()
        self.overlay: Image | None = None
        deep = QoSProfile(depth=50)
        self.create_subscription(PointCloud, 'tracks', self._on_tracks, deep)
        self.create_subscription(Odometry, 'odometry', self._on_odometry, deep)
        self.create_subscription(PoseStamped, 'ground_truth/pose', self._on_truth, deep)
        self.create_subscription(Image, 'tracks/overlay', self._on_overlay, 1)

    def summary(self) -> str:
        """Return the present measurements, in a line."""
        measured = self.measurements
        tracks = f'{measured.rate:5.1f} Hz, {measured.tracked[-1]:4d} tracks'
        return f'{tracks}, {measured.summary_of_error()}'

    def _on_tracks(self, message: PointCloud) -> None:
        self.measurements.arrivals.append(time.monotonic())
        channels = {channel.name: channel.values for channel in message.channels}
        velocities = zip(channels['velocity_x'], channels['velocity_y'], strict=True)
        self.measurements.tracked.append(sum(x != 0 or y != 0 for x, y in velocities))

    def _on_odometry(self, message: Odometry) -> None:
        latency = self.get_clock().now() - Time.from_msg(message.header.stamp)
        self.measurements.latencies.append(latency.nanoseconds / 1e9)
        self.measurements.estimated[stamp_key(message)] = _position(message.pose.pose)

    def _on_truth(self, message: PoseStamped) -> None:
        self.measurements.truth[stamp_key(message)] = _position(message.pose)

    def _on_overlay(self, message: Image) -> None:
        self.overlay = message


def run_odometry_demonstration(
    source: str,
    folder: Path,
    seconds: float,
    detector_parameters: dict[str, object],
    progress: Progress,
    recording: RerunRecording | None = None,
) -> tuple[OdometryMeasurements, Path]:
    """
    Measure for some seconds; return the measurements and the path of a picture in `folder`.

    A recording that is shorter ends the measurement. `source` is as the player's parameter, empty
    for the simulated room. Raises ValueError if its camera is not calibrated. The rest is as in
    `run_demonstration`.
    """
    if source not in ('', ROOM) and open_sequence(source).camera is None:
        raise ValueError(
            f'{source} has no calibration, which odometry needs: give a recording of EuRoC, '
            'TUM RGB-D or KITTI odometry, or a bag with camera_info'
        )
    folder.mkdir(parents=True, exist_ok=True)
    namespace = private_namespace('demo')
    player_parameters = {'source': source or ROOM, 'max_side': LONGEST_SIDE, 'loop': False}
    if not source:
        player_parameters['rate'] = _ROOM_RATE
    parameters = {
        'visual_odometry': {},
        'tracker': {},
        'detector': {'max_keypoints': 600, **detector_parameters},
        'player': player_parameters,
    }
    *nodes, player = (
        NodeProcess(name, namespace, values, folder) for name, values in parameters.items()
    )
    topics = ['tracks', 'features', 'odometry']
    with ros_session(*nodes, player) as executor:
        observer = OdometryObserver(namespace)
        if recording:
            add_rerun_node(executor, recording, namespace)
        run_and_measure(observer, executor, nodes, player, topics, seconds, progress)
    return observer.measurements, _write_picture(observer, folder / 'odometry.jpg')


def _write_picture(observer: OdometryObserver, path: Path) -> Path:
    """Write the tracks next to the plan of the trajectories, and return the path."""
    message = observer.overlay
    if message is None:
        raise ChildProcessError('no overlay of the tracks was received: there is no picture')
    tracks = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
    zoom = -(-_PLAN_SIZE[0] // message.width)
    tracks = tracks.repeat(zoom, axis=0).repeat(zoom, axis=1)
    below = max(_PLAN_SIZE[1] - len(tracks), 0)
    tracks = np.pad(tracks, ((0, below), (0, 0), (0, 0)))
    measured = observer.measurements
    plan = draw_plan(*measured.aligned(), tracks.shape[1::-1], measured.summary_of_error())
    write_picture(path, np.hstack([tracks, plan]))
    return path


def _position(pose) -> np.ndarray:
    return np.array([pose.position.x, pose.position.y, pose.position.z])
