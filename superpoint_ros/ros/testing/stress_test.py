# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A stress test: the detector node under more load than it can process, observed from outside.

The detector runs as a process. This process floods it with images, a fraction of them broken,
receives features and diagnostics, sets parameters (among them the weights, which are loaded again
each time), and reads the detector's memory from the system.

An idle node, the control, runs in another process and is asked for the same at the same times. It
shows how long an answer takes on this machine under its present load, apart from the detector.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.data.image_encodings import ENCODINGS
from superpoint_ros.ros.diagnostics import status_values
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.testing.stress_report import CALLS, Load, Sample
from superpoint_ros.ros.testing.subprocesses import (
    NodeProcess,
    private_namespace,
    ros_session,
    wait_for,
)

_FRAMES = 8  # number of different good images
_WEIGHTS_EVERY = 10  # every tenth call sets the weights
_CONTROL = 'control'  # namespace of the control, below that of the detector


class _Flood:
    """
    A thread that publishes images at a rate, a fraction of them broken.

    It has its own DDS participant: other messages must not wait for room among its images.
    """

    def __init__(self, namespace: str, load: Load):
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context)
        self._node = Node('camera', namespace=namespace, context=self._context)
        self._load = load
        self._rng = np.random.default_rng(0)
        shape = (_FRAMES, load.height // 16 + 1, load.width // 16 + 1)
        coarse = self._rng.integers(0, 256, shape, dtype=np.uint8)
        blocks = coarse.repeat(16, axis=1).repeat(16, axis=2)[:, : load.height, : load.width]
        self._images = [image_message(frame) for frame in blocks]
        qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        self._publisher = self._node.create_publisher(Image, 'image', qos)
        self.sent = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and leave ROS; may be called twice."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            message = self._next()
            message.header.stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(message)
            self.sent += 1
            due = max(due + 1 / self._load.rate, time.monotonic() - 0.1)
            self._stopped.wait(max(due - time.monotonic(), 0))

    def _next(self) -> Image:
        good, rng = self._images[self.sent % _FRAMES], self._rng
        if rng.random() >= self._load.broken:
            return good
        height, width = (int(side) for side in rng.integers(0, 2000, 2))
        return Image(
            encoding=str(rng.choice([*ENCODINGS, 'no such encoding'])),
            is_bigendian=int(rng.integers(2)),
            height=height,
            width=width,
            step=int(rng.integers(0, 8000)),
            data=array('B', good.data[: int(rng.integers(0, 4000))]),
        )


class _Caller:
    """Calls that set parameters of a node, one at a time; `answers` are milliseconds by kind."""

    def __init__(self, node: Node, target: str, answers: dict[str, float]):
        self._client = node.create_client(SetParameters, f'{target}/set_parameters')
        self._answers = answers
        self._asked = 0.0
        self._pending = None

    def is_free(self) -> bool:
        """Return whether the node is there and the last call is answered."""
        return self._pending is None and self._client.service_is_ready()

    def ask(self, kind: str, name: str, value: object) -> None:
        """Set a parameter."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        self._asked = time.monotonic()
        self._pending = self._client.call_async(SetParameters.Request(parameters=[parameter]))
        self._pending.add_done_callback(lambda _: self._on_answer(kind))

    def _on_answer(self, kind: str) -> None:
        self._answers[kind] = 1e3 * (time.monotonic() - self._asked)
        self._pending = None


class _Watch(Node):
    """Receive features and diagnostics, and set parameters again and again."""

    def __init__(self, namespace: str, weights: str):
        super().__init__('soak', namespace=namespace)
        self.latencies: list[float] = []
        self.inference = float('nan')
        self.answers: dict[str, float] = {}
        self.dropped = 0
        self._detector = _Caller(self, 'detector', self.answers)
        self._control = _Caller(self, f'{_CONTROL}/tracker', self.answers)
        self._calls = 0
        self._weights = weights
        self.create_subscription(PointCloud2, 'features', self._on_features, 50)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_features(self, message: PointCloud2) -> None:
        age = self.get_clock().now() - Time.from_msg(message.header.stamp)
        self.latencies.append(age.nanoseconds * 1e-6)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = status_values(status)
            if status.name.startswith(self.get_namespace().lstrip('/')) and (
                'inference p50 (ms)' in values
            ):
                self.inference = float(values['inference p50 (ms)'])
                self.dropped = int(values['frames dropped'])

    def is_ready(self) -> bool:
        """Return whether both nodes have started."""
        both = self._detector.is_free() and self._control.is_free()
        return both and self.count_publishers('features') > 0

    def ask(self) -> None:
        """Set a parameter of each node, unless its last call is still unanswered."""
        if self._control.is_free():
            self._control.ask('control', 'tail_length', 15)
        if not self._detector.is_free():
            return
        self._calls += 1
        if self._calls % _WEIGHTS_EVERY:
            self._detector.ask('parameters', 'max_keypoints', 1000 + self._calls % 2)
        else:
            self._detector.ask('weights', 'weights', self._weights)


def run_soak(
    load: Load, folder: Path, parameters: dict[str, object], progress: Callable[[Sample], None]
) -> int | None:
    """
    Call `progress` with a sample each second, and return the exit status of the detector.

    `parameters` are the detector's; its log is in `folder`. Raises ValueError for an invalid
    parameter, ChildProcessError if the detector ends by itself or never answers, and
    KeyboardInterrupt after a signal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    namespace = private_namespace('soak')
    detector = NodeProcess('detector', namespace, parameters, folder)
    control = NodeProcess('tracker', f'{namespace}/{_CONTROL}', {'autostart': False}, folder)
    with ros_session(detector, control) as executor, closing(_Flood(namespace, load)) as flood:
        watch = _Watch(namespace, str(parameters.get('weights', '')))
        executor.add_node(watch)
        detector.start()
        control.start()
        wait_for(executor, [detector, control], watch.is_ready)
        flood.start()
        wait_for(executor, [detector], lambda: watch.latencies)
        for sample in _samples(executor, watch, flood, detector, load.seconds):
            progress(sample)
        flood.close()
        return detector.stop()


def _samples(
    executor: Executor, watch: _Watch, flood: _Flood, detector: NodeProcess, seconds: float
) -> Iterator[Sample]:
    """Yield a sample per second."""
    start = last = time.monotonic()
    while last - start < seconds:
        sent, dropped = flood.sent, watch.dropped
        watch.latencies.clear()
        watch.answers.clear()
        watch.ask()
        while time.monotonic() < last + 1:
            executor.spin_once(timeout_sec=0.05)
        detector.check()
        now = time.monotonic()
        span, last = now - last, now
        latencies = watch.latencies or [float('nan')]
        yield Sample(
            time=now - start,
            sent=(flood.sent - sent) / span,
            answered=len(watch.latencies) / span,
            dropped=(watch.dropped - dropped) / span,
            latency_p50=float(np.percentile(latencies, 50)),
            latency_p99=float(np.percentile(latencies, 99)),
            inference=watch.inference,
            **{kind: watch.answers.get(kind, float('nan')) for kind in CALLS},
            memory=detector.memory() / 1e6,
        )
