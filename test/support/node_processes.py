# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Detector and camera as processes with real topics, and an observer in the test's process."""

from __future__ import annotations

import base64
from contextlib import contextmanager
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from sensor_msgs.msg import PointCloud2

from support.ros import milliseconds, Observer

START = 180.0
"""Seconds that a start may take on a busy machine, with imports and a first compilation."""

COMMON_START = 3 * START
"""Seconds that the starts of three nodes at the same time may take."""


class Program:
    """A child process whose output is gathered while it runs."""

    def __init__(self, arguments, domain, **options):
        environment = {
            **os.environ,
            'ROS_DOMAIN_ID': str(domain),
            'PYTHONUNBUFFERED': '1',
            'OMP_NUM_THREADS': '1',
        }
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def output(self):
        return ''.join(self.lines)

    def wait_for(self, text, timeout=START):
        """Wait until the output has the text; fail, with the output, where it does not."""
        end = time.monotonic() + timeout
        while text not in self.output:
            if self.process.poll() is not None and not self._reader.is_alive():
                status = self.process.returncode
                pytest.fail(f'ended with status {status} before it said {text!r}:\n{self.output}')
            if time.monotonic() > end:
                pytest.fail(f'did not say {text!r} within {timeout} s:\n{self.output}')
            time.sleep(0.02)

    def finish(self, status=0, busy_limit=None):
        """
        Wait for the end; fail, with the output, unless the exit status is `status`.

        `busy_limit` are seconds for which this thread waits without sleeping. They count as its
        processor time: on an idle machine that is the time of a clock, and on a busy one the
        process that is waited for gets about as much.
        """
        start, end = time.thread_time(), time.monotonic() + START
        while self.process.poll() is None:
            if busy_limit is None:
                time.sleep(0.01)
            elif time.thread_time() - start > busy_limit:
                pytest.fail(f'did not end within {busy_limit} s:\n{self.output}')
            if time.monotonic() > end:
                pytest.fail(f'did not end within {START} s:\n{self.output}')
        self._reader.join(START)
        ended = self.process.returncode
        if ended != status:
            pytest.fail(f'ended with status {ended}, not {status}:\n{self.output}')

    def interrupt(self, number=signal.SIGINT):
        """Send the signal."""
        self.process.send_signal(number)

    def end(self):
        """End the process, whatever it does; its output is shown if the test fails."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        sys.stderr.write(self.output)
        if self.process.stdin:
            self.process.stdin.close()
        self.process.stdout.close()


class CameraProgram(Program):
    """The camera of `camera_process.py`, which publishes what the test sends."""

    def __init__(self, domain):
        script = str(Path(__file__).with_name('camera_process.py'))
        super().__init__([script], domain, stdin=subprocess.PIPE)
        self._orders = 0

    def _order(self, **order):
        self.process.stdin.write(json.dumps(order) + '\n')
        self.process.stdin.flush()
        self._orders += 1
        end = time.monotonic() + START
        while self.output.count('done\n') < self._orders:
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f'the camera did not publish:\n{self.output}')
            time.sleep(0.005)

    def publish(
        self,
        image,
        first_stamp,
        count=1,
        period=0.1,
        frame_id='optical_frame',
        topic='image',
        **fields,
    ):
        """Publish the array `count` times; `fields` replace those that follow from it."""
        image = np.ascontiguousarray(image)
        height, width = image.shape[:2]
        channels = image.shape[2] if image.ndim == 3 else 1
        fields = {
            'height': height,
            'width': width,
            'encoding': 'mono8' if channels == 1 else 'bgr8',
            'step': width * channels * image.itemsize,
            **fields,
        }
        self._order(
            topic=topic,
            fields=fields,
            data=base64.b64encode(image.tobytes()).decode(),
            count=count,
            period=period,
            first_stamp=first_stamp,
            frame_id=frame_id,
        )

    def publish_until(self, condition, image, first_stamp, count=10, **options):
        """
        Publish the array until the condition is true; `publish` explains the other arguments.

        The first images may be lost: the camera discovers its subscribers before they discover it.
        """
        end = time.monotonic() + START
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f'not true within {START} s:\n{self.output}')
            self.publish(image, first_stamp, count, **options)
            first_stamp += count

    @contextmanager
    def flooding(self, image, first_stamp, **options):
        """Publish the array in a thread while the context lasts; `publish` explains the rest."""
        has_ended = threading.Event()
        arguments = has_ended.is_set, image, first_stamp
        thread = threading.Thread(target=self.publish_until, args=arguments, kwargs=options)
        thread.start()
        try:
            yield
            assert thread.is_alive()
        finally:
            has_ended.set()
            thread.join()

    def claim_for_text(self, topic):
        """Be a publisher of strings on a topic."""
        self._order(topic=topic, text=True)


class FeaturesObserver(Observer):
    """An observer that gathers features."""

    def __init__(self, domain, topic='features'):
        super().__init__(domain)
        self.messages = self.listen(PointCloud2, topic, wait=False)

    def with_stamps(self, first, count):
        """Return the messages with the `count` stamps, in milliseconds, from `first` on."""
        wanted = range(first, first + count)
        return [m for m in self.messages if milliseconds(m) in wanted]

    def await_stamps(self, first, count):
        """Return the messages with these stamps, after all of them have arrived."""
        self.wait_until(lambda: len(self.with_stamps(first, count)) >= count)
        return self.with_stamps(first, count)

    def set_parameters(self, **values):
        """Return the results of setting parameters of the detector, each on its own."""
        return self.set_parameters_of('/detector', **values)


class System:
    """A detector process, a camera process and an observer."""

    def __init__(self, domain, *arguments, features='features'):
        self.detector = run_detector(domain, *arguments)
        self.camera = CameraProgram(domain)
        self.observer = FeaturesObserver(domain, features)
        self._stamp = 1_000_000
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def _wait_until_ready(self):
        """Wait until the detector runs and its messages arrive."""
        self.detector.wait_for('images from')
        topic = self.observer.observer.resolve_topic_name('features')
        self.observer.wait_until(lambda: self.observer.observer.count_publishers(topic) > 0)
        # Discovery is one-sided at first: send until an answer comes.
        blank = np.zeros((32, 32), np.uint8)
        self.observer.wait_until(lambda: self._answered(blank), START)

    def _answered(self, image):
        self.camera.publish(image, self.stamps(1), period=0.05)
        return self.observer.rest(0.1, lambda: bool(self.observer.messages))

    def stamps(self, count):
        """Return the first of `count` stamps, in milliseconds, that were not used before."""
        self._stamp += count
        return self._stamp - count

    def features_of(self, image, count=1, **fields):
        """
        Return the messages that answer an image that is published `count` times.

        Each time after the last answer: on a busy machine a frame would replace the one before.
        """
        first = self.stamps(count)
        for stamp in range(first, first + count):
            self.camera.publish(image, stamp, period=0, **fields)
            self.observer.await_stamps(stamp, 1)
        return self.observer.with_stamps(first, count)

    def close(self):
        """End all three."""
        self.observer.close()
        self.camera.end()
        self.detector.end()


def run_detector(domain, *arguments):
    """Return the detector's program, run with these ROS arguments."""
    module = ['-m', 'superpoint_ros.ros.run_node', 'detector', '--ros-args']
    # Another engine takes seconds to start.
    return Program([*module, '-p', 'engine:=torch', *arguments], domain)
