# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The worker serves the newest frame, counts what it lets go, and survives failures."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from superpoint_ros.ros.detector.worker import Worker


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


def test_frames_that_are_overtaken_are_dropped(worker, gate):
    worker.put('left', 0)
    gate.await_entry()
    assert [worker.put('left', frame) for frame in range(1, 6)] == [False] + [True] * 4
    gate.let_through.release()
    gate.await_entry()
    assert gate.batches == [[('left', 0)], [('left', 5)]]


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
    assert not worker.is_failing
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


def test_a_thing_that_fails_again_and_again_is_tried_less_and_less_often():
    tries = []

    def process(batch):
        tries.append(time.monotonic())
        raise RuntimeError('out of memory')

    worker = Worker(process, lambda error: None)
    worker.start()
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        worker.put('camera', 0)
        time.sleep(0.002)
    start = time.monotonic()
    assert worker.is_failing
    assert worker.stop()
    assert time.monotonic() - start < 1  # it does not wait for the next try
    assert 2 <= worker.failures == len(tries) <= 5
    pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
    assert all(pause >= 0.09 * 2**index for index, pause in enumerate(pauses))


def gathering(gate, gather=5.0):
    worker = Worker(gate, lambda error: None, gather=gather)
    worker.start()
    return worker


def end(worker, gate):
    for _ in range(100):
        gate.let_through.release()
    assert worker.stop()


def test_frames_of_one_time_go_together(gate):
    worker = gathering(gate)
    worker.put('left', 'l1', key=1)
    gate.await_entry()  # nobody knows yet that there is another camera
    worker.put('right', 'r1', key=1)
    gate.let_through.release()
    worker.put('left', 'l2', key=2)  # overtakes nothing, and r1 may have gone or not
    worker.put('right', 'r2', key=2)
    gate.await_entry()
    assert gate.batches[1] in (
        [('left', 'l2'), ('right', 'r2')],
        [('right', 'r2'), ('left', 'l2')],
    )
    end(worker, gate)


def test_a_frame_waits_for_that_of_its_time_although_the_other_camera_has_an_older_one(gate):
    worker = gathering(gate)
    worker.put('left', 'l1', key=1)
    gate.await_entry()
    worker.put('right', 'r1', key=1)
    worker.put('left', 'l2', key=2)
    gate.let_through.release()
    time.sleep(0.1)
    assert len(gate.batches) == 1
    worker.put('right', 'r2', key=2)
    gate.await_entry()
    assert gate.batches[1] == [('right', 'r2'), ('left', 'l2')]
    end(worker, gate)


def test_a_frame_without_a_partner_is_not_lost(gate):
    worker = gathering(gate, gather=0.1)
    worker.put('right', 'r1', key=1)
    gate.await_entry()
    gate.let_through.release()
    worker.put('left', 'l2', key=2)
    gate.await_entry()
    assert gate.batches == [[('right', 'r1')], [('left', 'l2')]]
    end(worker, gate)


def test_cameras_that_never_share_a_time_soon_wait_no_more(gate):
    worker = gathering(gate, gather=0.05)
    waits = []
    for stamp in range(0, 40, 2):
        gate.let_through.release()
        worker.put('right', stamp, key=stamp)
        gate.await_entry()
        gate.let_through.release()
        start = time.monotonic()
        worker.put('left', stamp + 1, key=stamp + 1)
        gate.await_entry()
        waits.append(time.monotonic() - start)
    assert len(gate.batches) == 40
    assert min(waits[:3]) >= 0.05
    assert min(waits[-8:]) < 0.05
    end(worker, gate)
