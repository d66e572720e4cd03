# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A camera player and the detector node as two processes, and what arrives at a third: this one.

Everything goes through real topics, in a namespace of its own and on this machine only, so that
neither other nodes nor a second demonstration are disturbed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import os
from pathlib import Path
import time
from typing import Protocol

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.data.image_encodings import gray_from_message
from superpoint_ros.features import Features
from superpoint_ros.ros.messages.feature_messages import features_from_message
from superpoint_ros.ros.ros_context import ros_session
from superpoint_ros.ros.testing.subprocesses import Child
from superpoint_ros.visualization import contact_sheet, draw_keypoints

PICTURES = 6
LONGEST_SIDE = 640  # larger frames are reduced: best-effort topics lose large messages

_START_TIMEOUT = 90.0  # a first start reads torch from a cold disk
_SILENCE_TIMEOUT = 10.0
_IMAGES_KEPT = 120

Progress = Callable[[float, str], None]


@dataclass
class Measurements:
    """
    What was measured: one entry for each message of features, in order of arrival.

    Times are in seconds; a latency is from the image's stamp to the arrival of its features.
    `images` counts the images that were published meanwhile.
    """

    arrivals: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    keypoints: list[int] = field(default_factory=list)
    images: int = 0
    image_size: tuple[int, int] = (0, 0)

    @property
    def rate(self) -> float:
        """Messages of features a second; 0 where there are fewer than two."""
        if len(self.arrivals) < 2:
            return 0.0
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    def latency(self, percentile: float) -> float:
        """Return the latency in seconds that `percentile` of 100 messages stay below."""
        return float(np.percentile(self.latencies, percentile))


class MeasuringNode(Protocol):
    """A node that measures what it hears."""

    elapsed: float
    """Seconds since the first arrival; 0 before."""
    is_silent: bool
    """Whether nothing has come for long."""

    def state(self) -> str:
        """Return what is measured at present, in a line."""
        ...


class Observer(Node):
    """Receive the images and the features, measure, and keep a few for the picture."""

    def __init__(self, namespace: str, seconds: float):
        super().__init__('observer', namespace=namespace)
        self.measurements = Measurements()
        self.shown: list[tuple[np.ndarray, Features]] = []
        self._seconds = seconds
        self._images: dict[tuple[int, int], Image] = {}
        # Reliable and deep: what is lost on the way here would be counted as dropped there.
        self._subscriptions = (
            self.create_subscription(Image, 'image', self._on_image, QoSProfile(depth=10)),
            self.create_subscription(
                PointCloud2, 'features', self._on_features, QoSProfile(depth=10)
            ),
        )

    @property
    def elapsed(self) -> float:
        """Seconds since the first features arrived; 0 before."""
        arrivals = self.measurements.arrivals
        return time.monotonic() - arrivals[0] if arrivals else 0.0

    @property
    def is_silent(self) -> bool:
        """Return whether no features have come for long."""
        return time.monotonic() - self.measurements.arrivals[-1] > _SILENCE_TIMEOUT

    def state(self) -> str:
        """Return what is measured at present, in a line."""
        measured = self.measurements
        latest = measured.latencies[-1] * 1000
        return f'{measured.rate:5.1f} Hz, {latest:4.0f} ms, {measured.keypoints[-1]} keypoints'

    def _on_image(self, message: Image) -> None:
        self._images[_stamp(message)] = message
        if len(self._images) > _IMAGES_KEPT:
            self._images.pop(next(iter(self._images)))
        if self.measurements.arrivals:
            self.measurements.images += 1
        self.measurements.image_size = (message.width, message.height)

    def _on_features(self, message: PointCloud2) -> None:
        if not self._images:
            return  # the camera is not yet known here: nothing could be counted or shown
        latency = self.get_clock().now() - Time.from_msg(message.header.stamp)
        measured = self.measurements
        measured.arrivals.append(time.monotonic())
        measured.latencies.append(latency.nanoseconds / 1e9)
        measured.keypoints.append(message.width)
        # One picture from the middle of each of PICTURES equal parts of the time.
        due = (len(self.shown) + 0.5) * self._seconds / PICTURES
        image = self._images.get(_stamp(message))
        if self.elapsed >= due and image is not None and len(self.shown) < PICTURES:
            self.shown.append((gray_from_message(image), features_from_message(message)))


def run_demonstration(
    source: str,
    folder: Path,
    seconds: float,
    detector_parameters: dict[str, object],
    progress: Progress,
) -> tuple[Measurements, Path]:
    """
    Return what was measured in `seconds`, and the picture's path in `folder`.

    `source` is as in `open_sequence`, empty for the virtual camera. `progress` is called about
    ten times a second with the seconds measured and a line of text. Raises ValueError where the
    source or a parameter is to blame, ChildProcessError where a node ended or nothing came, and
    KeyboardInterrupt after a signal; no process is left behind in any case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    namespace = f'/superpoint_demo_{os.getpid()}'
    player_parameters = {
        'source': source,
        'max_side': LONGEST_SIDE,
        'seconds_each': max(seconds / PICTURES, 0.1),
    }
    detector = Child('detector', namespace, detector_parameters, folder)
    player = Child('player', namespace, player_parameters, folder)
    with ros_session():
        try:
            observer = Observer(namespace, seconds)
            detector.start()
            progress(0.0, 'starting the detector')
            topic = 'features'
            wait_for(observer, [detector], lambda: observer.count_publishers(topic) > 0, progress)
            player.start()
            progress(0.0, 'waiting for the first features')
            children = [detector, player]
            wait_for(observer, children, lambda: observer.measurements.arrivals, progress)
            measure(observer, children, seconds, progress)
        finally:
            player.stop()
            detector.stop()
    return observer.measurements, _write_picture(observer, folder / 'keypoints.jpg')


def wait_for(observer: Node, children: list[Child], until, progress: Progress) -> None:
    """Let messages in until the condition holds; raise ChildProcessError where it never does."""
    deadline = time.monotonic() + _START_TIMEOUT
    while not until():
        rclpy.spin_once(observer, timeout_sec=0.1)
        for child in children:
            child.check()
        if time.monotonic() > deadline:
            tails = '; '.join(f'{child.name}: {child.tail()}' for child in children)
            raise ChildProcessError(f'nothing came within {_START_TIMEOUT:g} s. {tails}')


def measure(
    observer: MeasuringNode, children: list[Child], seconds: float, progress: Progress
) -> None:
    """Let messages in for the time given, reporting what came."""
    shown_at = 0.0
    while observer.elapsed < seconds:
        rclpy.spin_once(observer, timeout_sec=0.1)
        for child in children:
            child.check()
        if observer.is_silent:
            raise ChildProcessError(f'nothing for {_SILENCE_TIMEOUT:g} s. {children[0].tail()}')
        now = time.monotonic()
        if now - shown_at > 0.1:
            shown_at = now
            progress(observer.elapsed, observer.state())


def _write_picture(observer: Observer, path: Path) -> Path:
    """Return the path, at which there is a contact sheet now."""
    if not observer.shown:
        raise ChildProcessError('no image belonged to the features that came: no picture')
    images = [draw_keypoints(image, features) for image, features in observer.shown]
    captions = [f'{len(features)} keypoints' for _, features in observer.shown]
    columns = 3 if len(images) > 2 else None
    if not cv2.imwrite(str(path), contact_sheet(images, columns=columns, captions=captions)):
        raise OSError(f'the picture {path} could not be written')
    return path


def _stamp(message: Image | PointCloud2) -> tuple[int, int]:
    """Return the header's stamp as something that can be compared."""
    return message.header.stamp.sec, message.header.stamp.nanosec
