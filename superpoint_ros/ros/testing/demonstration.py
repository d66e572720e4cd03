# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A demonstration: a camera player and the detector node as processes, measured by this process.

Everything goes through real topics, in a private namespace and on this machine only, so that
neither other nodes nor a second demonstration are disturbed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
import time
from typing import TYPE_CHECKING

import numpy as np
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.common.wording import counted
from superpoint_ros.features import Features
from superpoint_ros.ros.messages.feature_messages import features_from_message
from superpoint_ros.ros.messages.image_messages import gray_from_image, stamp_key
from superpoint_ros.ros.testing.subprocesses import (
    NodeProcess,
    private_namespace,
    ros_session,
    wait_for,
)
from superpoint_ros.visualization import contact_sheet, draw_keypoints, write_picture

if TYPE_CHECKING:
    from superpoint_ros.integrations.rerun_recording import RerunRecording

PICTURES = 6
LONGEST_SIDE = 640  # larger frames are reduced: best-effort topics lose large messages

_RECEIVE_TIMEOUT = 15.0
_LAST_RESULTS = 3.0  # seconds without results after the end of a source
_IMAGES_KEPT = 120

Progress = Callable[[float, str], None]


@dataclass
class Arrivals:
    """Times of arrival of messages, in seconds, and the seconds from stamp to arrival."""

    arrivals: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return the arrivals per second; 0 if there are fewer than two."""
        times = self.arrivals
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def latency(self, percentile: float) -> float:
        """Return a percentile of the latencies, in seconds."""
        return float(np.percentile(self.latencies, percentile))


@dataclass
class Measurements(Arrivals):
    """
    What was measured: one entry for each message of features, in order of arrival.

    `keypoints` are their numbers, `images` is the number of images that were published meanwhile,
    and `image_size` their (width, height).
    """

    keypoints: list[int] = field(default_factory=list)
    images: int = 0
    image_size: tuple[int, int] = (0, 0)


class MeasuringNode(Node, ABC):
    """A node that receives what is measured, with the times of arrival in `measurements`."""

    measurements: Arrivals

    @abstractmethod
    def summary(self) -> str:
        """Return the present measurements, in a line."""

    @property
    def elapsed(self) -> float:
        """Return the seconds since the first arrival; 0 before."""
        arrivals = self.measurements.arrivals
        return time.monotonic() - arrivals[0] if arrivals else 0.0


class Observer(MeasuringNode):
    """Receive the images and the features, measure, and keep some for the picture."""

    def __init__(self, namespace: str, seconds: float):
        super().__init__('observer', namespace=namespace)
        self.measurements = Measurements()
        self.shown: list[tuple[np.ndarray, Features]] = []
        self._seconds = seconds
        self._images: dict[tuple[int, int], Image] = {}
        # Reliable and deep: a message lost here would count as dropped by the detector.
        self.create_subscription(Image, 'image', self._on_image, QoSProfile(depth=10))
        self.create_subscription(PointCloud2, 'features', self._on_features, QoSProfile(depth=10))

    def summary(self) -> str:
        """Return the present measurements, in a line."""
        measured = self.measurements
        latest = measured.latencies[-1] * 1000
        keypoints = counted(measured.keypoints[-1], 'keypoint')
        return f'{measured.rate:5.1f} Hz, {latest:4.0f} ms, {keypoints}'

    def _on_image(self, message: Image) -> None:
        self._images[stamp_key(message)] = message
        if len(self._images) > _IMAGES_KEPT:
            self._images.pop(next(iter(self._images)))
        if self.measurements.arrivals:
            self.measurements.images += 1
        self.measurements.image_size = (message.width, message.height)

    def _on_features(self, message: PointCloud2) -> None:
        if not self._images:
            return  # the camera is not discovered yet: nothing could be counted or shown
        latency = self.get_clock().now() - Time.from_msg(message.header.stamp)
        measured = self.measurements
        measured.arrivals.append(time.monotonic())
        measured.latencies.append(latency.nanoseconds / 1e9)
        measured.keypoints.append(message.width)
        # One picture from the middle of each of PICTURES equal parts of the time.
        due = (len(self.shown) + 0.5) * self._seconds / PICTURES
        image = self._images.get(stamp_key(message))
        if self.elapsed >= due and image is not None and len(self.shown) < PICTURES:
            self.shown.append((gray_from_image(image), features_from_message(message)))


def run_demonstration(
    source: str,
    folder: Path,
    seconds: float,
    detector_parameters: dict[str, object],
    progress: Progress,
    recording: RerunRecording | None = None,
) -> tuple[Measurements, Path]:
    """
    Measure for some seconds; return the measurements and the path of a picture in `folder`.

    `source` is as in `open_sequence`, empty for the virtual camera. `progress` is called about ten
    times per second with the seconds measured and a line of text. Raises ValueError for an invalid
    source or parameter, ChildProcessError if a node ends or nothing arrives, and KeyboardInterrupt
    after a signal; no process is left behind in any case. With a `recording`, everything is also
    logged there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    namespace = private_namespace('demo')
    player_parameters = {
        'source': source,
        'max_side': LONGEST_SIDE,
        'seconds_each': max(seconds / PICTURES, 0.1),
    }
    detector = NodeProcess('detector', namespace, detector_parameters, folder)
    player = NodeProcess('player', namespace, player_parameters, folder)
    with ros_session(detector, player) as executor:
        observer = Observer(namespace, seconds)
        if recording:
            add_rerun_node(executor, recording, namespace)
        run_and_measure(observer, executor, [detector], player, ['features'], seconds, progress)
    return observer.measurements, _write_picture(observer, folder / 'keypoints.jpg')


def run_and_measure(
    observer: MeasuringNode,
    executor: Executor,
    nodes: list[NodeProcess],
    player: NodeProcess,
    topics: list[str],
    seconds: float,
    progress: Progress,
) -> None:
    """
    Start the nodes, then the player when all topics are published, and measure.

    The measurement ends after some seconds, or when all that the player publishes is processed.
    """
    executor.add_node(observer)
    for node in nodes:
        node.start()
    progress(0.0, f'starting {", ".join(node.name for node in nodes)}')
    wait_for(executor, nodes, lambda: all(map(observer.count_publishers, topics)))
    player.start()
    progress(0.0, f'waiting for {topics[0]}')
    arrivals = observer.measurements.arrivals
    wait_for(executor, nodes, lambda: player.check(may_finish=True) or arrivals)
    started, shown_at = time.monotonic(), 0.0
    while observer.elapsed < seconds:
        executor.spin_once(timeout_sec=0.1)
        for node in nodes:
            node.check()
        has_ended = player.check(may_finish=True)
        now = time.monotonic()
        silence = now - (arrivals[-1] if arrivals else started)
        if has_ended and arrivals and silence > _LAST_RESULTS:
            return
        if silence > _RECEIVE_TIMEOUT:
            raise ChildProcessError(
                f'nothing received for {_RECEIVE_TIMEOUT:g} s. {nodes[0].last_lines()}'
            )
        if arrivals and now - shown_at > 0.1:
            shown_at = now
            progress(observer.elapsed, observer.summary())


def add_rerun_node(executor: Executor, recording: RerunRecording, namespace: str) -> None:
    """Log everything in the namespace to a recording, in this process."""
    from superpoint_ros.ros.rerun_node import RerunNode  # needs rerun-sdk

    executor.add_node(RerunNode(recording.scene('demo'), namespace=namespace))


def _write_picture(observer: Observer, path: Path) -> Path:
    """Write a contact sheet of frames with their keypoints and return its path."""
    if not observer.shown:
        raise ChildProcessError('no image was received for the features: there is no picture')
    images = [draw_keypoints(image, features) for image, features in observer.shown]
    captions = [counted(len(features), 'keypoint') for _, features in observer.shown]
    columns = 3 if len(images) > 2 else None
    write_picture(path, contact_sheet(images, columns=columns, captions=captions))
    return path
