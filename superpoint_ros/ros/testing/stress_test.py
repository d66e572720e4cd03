# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A stress test: the detector node under more load than it can process, observed from outside.

The detector runs as a process. This process floods it with images, a fraction of them broken,
receives features and diagnostics, sets parameters (among them the weights, which are loaded again
each time), and reads the detector's memory from the system.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.data.image_encodings import ENCODINGS
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.testing.subprocesses import (
    NodeProcess,
    private_namespace,
    ros_session,
    wait_for,
)

SETTLING = 5.0
"""Seconds after which latencies and answers are judged."""

WARM_UP = 120.0
"""Seconds after which memory is judged: until then caches fill. In a shorter test it is judged in
the second half."""

MAX_GROWTH = 0.02
"""Allowed growth of the memory after the warm-up, as a share."""

_FRAMES = 8  # number of different good images
_WEIGHTS_EVERY = 10  # every tenth call sets the weights


@dataclass(frozen=True)
class Load:
    """The load: its length in seconds, images per second, their size, and the broken fraction."""

    seconds: float = 60.0
    rate: float = 200.0
    width: int = 640
    height: int = 480
    broken: float = 0.05


@dataclass
class Sample:
    """
    The measurements of one second; NaN for what was not measured.

    Attributes:
        time: seconds since the start.
        sent, answered, dropped: images sent, features received and frames dropped, per second.
        latency_p50, latency_p99: milliseconds from stamp to arrival of the features.
        inference: milliseconds per inference, as the node reports them.
        parameters: milliseconds until a call to set a parameter is answered.
        weights: the same for a call that sets the weights.
        memory: resident memory of the node in MB.

    """

    time: float
    sent: float
    answered: float
    dropped: float
    latency_p50: float
    latency_p99: float
    inference: float
    parameters: float
    weights: float
    memory: float


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


class _Watch(Node):
    """Receive features and diagnostics, and set parameters again and again."""

    def __init__(self, namespace: str, weights: str):
        super().__init__('soak', namespace=namespace)
        self.latencies: list[float] = []
        self.inference = float('nan')
        self.answers: dict[str, float] = {}
        self.dropped = 0
        self._asked = 0.0
        self._pending = None
        self._client = self.create_client(SetParameters, 'detector/set_parameters')
        self._calls = 0
        self._weights = weights
        self.create_subscription(PointCloud2, 'features', self._on_features, 50)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_features(self, message: PointCloud2) -> None:
        age = self.get_clock().now() - Time.from_msg(message.header.stamp)
        self.latencies.append(age.nanoseconds * 1e-6)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.name.startswith(self.get_namespace().lstrip('/')) and (
                'inference p50 (ms)' in values
            ):
                self.inference = float(values['inference p50 (ms)'])
                self.dropped = int(values['frames dropped'])

    def ask(self) -> None:
        """Set a parameter, unless the last call is still unanswered."""
        if self._pending is not None or not self._client.service_is_ready():
            return
        self._calls += 1
        if self._calls % _WEIGHTS_EVERY:
            parameter = Parameter('max_keypoints', value=1000 + self._calls % 2)
        else:
            parameter = Parameter('weights', value=self._weights)
        request = SetParameters.Request(parameters=[parameter.to_parameter_msg()])
        self._asked = time.monotonic()
        self._pending = self._client.call_async(request)
        self._pending.add_done_callback(lambda _: self._on_answer(parameter.name))

    def _on_answer(self, name: str) -> None:
        self.answers[name] = 1e3 * (time.monotonic() - self._asked)
        self._pending = None


Progress = Callable[[Sample], None]


def run_soak(
    load: Load, folder: Path, parameters: dict[str, object], progress: Progress
) -> tuple[list[Sample], int | None]:
    """
    Return a sample for each second, and the exit status of the detector, which is ended then.

    `parameters` are the detector's; its log is in `folder`. Raises ValueError for an invalid
    parameter, ChildProcessError if the detector ends by itself or never answers, and
    KeyboardInterrupt after a signal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    namespace = private_namespace('soak')
    detector = NodeProcess('detector', namespace, parameters, folder)
    with ros_session(detector) as executor, closing(_Flood(namespace, load)) as flood:
        watch = _Watch(namespace, str(parameters.get('weights', '')))
        executor.add_node(watch)
        detector.start()
        wait_for(executor, [detector], lambda: watch.count_publishers('features') > 0)
        flood.start()
        wait_for(executor, [detector], lambda: watch.latencies)
        samples = list(_sample(executor, watch, flood, detector, load.seconds, progress))
        flood.close()
        return samples, detector.stop()


def _sample(executor, watch, flood, detector, seconds, progress):
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
        sample = Sample(
            now - start,
            (flood.sent - sent) / span,
            len(watch.latencies) / span,
            (watch.dropped - dropped) / span,
            float(np.percentile(latencies, 50)),
            float(np.percentile(latencies, 99)),
            watch.inference,
            watch.answers.get('max_keypoints', float('nan')),
            watch.answers.get('weights', float('nan')),
            detector.memory() / 1e6,
        )
        progress(sample)
        yield sample


def judge(samples: list[Sample], status: int | None) -> dict[str, str]:
    """
    Return the requirements that are not met, each with the reason; empty if all are met.

    The requirements: memory stays constant after the warm-up, features arrive within two inference
    times, a parameter call is answered within a tenth of a second, and the node runs to the end
    and ends cleanly.
    """
    broken = {}
    settled = [sample for sample in samples if sample.time > SETTLING] or samples
    table = {f.name: np.array([getattr(s, f.name) for s in settled]) for f in fields(Sample)}
    before, after = _memory_trend(table['time'], table['memory'])
    if after > (1 + MAX_GROWTH) * before:
        broken['memory'] = f'grew from {before:.0f} to {after:.0f} MB after the warm-up'
    latency, inference = (np.nanmedian(table[name]) for name in ('latency_p50', 'inference'))
    if not latency <= 2 * inference:
        broken['latency'] = f'median {latency:.0f} ms, inference takes {inference:.0f} ms'
    for name in ('parameters', 'weights'):
        calls = table[name][np.isfinite(table[name])]
        if name == 'weights' and not len(calls):
            continue  # the test was too short for any
        answer = np.percentile(calls, 95) if len(calls) else np.nan
        if not answer <= 100:
            broken[name] = f'5 % of the calls took {answer:.0f} ms or more'
    if status != 0:
        broken['end'] = f'the detector ended with status {status}'
    return broken


def _memory_trend(seconds: np.ndarray, memory: np.ndarray) -> tuple[float, float]:
    """
    Return start and end of a line fitted to the memory (N,) after the warm-up.

    A line, as single values vary by 20 MB while a second network is loaded.
    """
    judged = seconds >= min(WARM_UP, seconds.mean())
    seconds, memory = seconds[judged], memory[judged]
    if len(seconds) < 2:
        return memory[0], memory[0]
    slope, offset = np.polyfit(seconds, memory, 1)
    return offset + slope * seconds[0], offset + slope * seconds[-1]


def write_samples(samples: list[Sample], path: Path) -> None:
    """Write the samples as a table of comma-separated values."""
    names = [field.name for field in fields(Sample)]
    rows = [','.join(f'{value:.3f}' for value in asdict(sample).values()) for sample in samples]
    path.write_text('\n'.join([','.join(names), *rows]) + '\n', encoding='utf-8')


def plot_samples(samples: list[Sample], path: Path) -> None:
    """Draw memory, times and rates over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9), layout='constrained')
    memory, times, rates = figure.subplots(3, sharex=True)
    seconds = [sample.time for sample in samples]
    for axes, names, unit in (
        (memory, ('memory',), 'MB'),
        (times, ('latency_p50', 'latency_p99', 'inference', 'parameters', 'weights'), 'ms'),
        (rates, ('sent', 'answered', 'dropped'), 'messages per second'),
    ):
        for name in names:
            values = [getattr(sample, name) for sample in samples]
            style = '.' if name in ('parameters', 'weights') else '-'  # not in every second
            axes.plot(seconds, values, style, label=name.replace('_', ' '))
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(loc='center left', bbox_to_anchor=(1, 0.5))
    rates.set_xlabel('seconds')
    figure.savefig(path, dpi=100)
