"""The worker serves the newest frame, counts what it lets go, and survives failures."""

from __future__ import annotations

import threading
import time

import pytest

from superpoint_ros.node.worker import Worker


class Gate:
    """A `process` that waits at each batch until it is let through."""

    def __init__(self):
        self.batches = []
        self.entered = threading.Semaphore(0)
        self.let_through = threading.Semaphore(0)

    def __call__(self, batch):
        self.batches.append(batch)
        self.entered.release()
        self.let_through.acquire()

    def await_entry(self):
        assert self.entered.acquire(timeout=5)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def worker(gate):
    worker = Worker(gate, lambda error: None)
    worker.start()
    yield worker
    for _ in range(100):
        gate.let_through.release()
    assert worker.stop()


def test_frames_that_are_overtaken_are_dropped_and_counted(worker, gate):
    worker.put('left', 0)
    gate.await_entry()
    for frame in range(1, 6):
        worker.put('left', frame)
    gate.let_through.release()
    gate.await_entry()
    assert gate.batches == [[('left', 0)], [('left', 5)]]
    assert worker.received('left') == 6
    assert worker.dropped('left') == 4
    assert worker.dropped('right') == 0


def test_a_fast_camera_does_not_starve_a_slow_one(worker, gate):
    worker.put('fast', 0)
    gate.await_entry()
    worker.put('fast', 1)
    worker.put('slow', 2)
    worker.put('fast', 3)
    gate.let_through.release()
    gate.await_entry()
    assert gate.batches[1] == [('fast', 3), ('slow', 2)]


def test_a_failure_is_reported_and_the_next_frame_is_processed():
    done, errors = [], []
    arrived = threading.Semaphore(0)

    def process(batch):
        try:
            if batch[0][1] == 'bad':
                raise RuntimeError('out of memory')
            done.append(batch[0][1])
        finally:
            arrived.release()

    worker = Worker(process, errors.append)
    worker.start()
    for frame in ('good', 'bad', 'better'):
        worker.put('camera', frame)
        assert arrived.acquire(timeout=5)
    assert worker.stop()
    assert done == ['good', 'better']
    assert worker.failures == 1
    assert str(errors[0]) == 'out of memory'


def test_stop_waits_for_the_frame_in_work_and_lets_the_others_go(gate):
    worker = Worker(gate, lambda error: None)
    worker.start()
    worker.put('camera', 1)
    gate.await_entry()
    worker.put('camera', 2)
    start = time.monotonic()
    assert not worker.stop(timeout=0.2)
    assert 0.15 < time.monotonic() - start < 2
    gate.let_through.release()
    assert worker.stop(timeout=5)
    assert gate.batches == [[('camera', 1)]]


def test_a_worker_without_frames_stops_at_once():
    worker = Worker(lambda batch: None, lambda error: None)
    worker.start()
    start = time.monotonic()
    assert worker.stop()
    assert time.monotonic() - start < 1
