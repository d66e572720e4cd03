# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The worker processes the newest frame, drops replaced ones, and survives failures."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from superpoint_ros.ros.detector import worker as worker_module
from superpoint_ros.ros.detector.worker import Worker

PATIENCE = 60.0
"""Seconds to wait for what takes milliseconds on an idle machine."""


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
        return len(batch)

    def await_entry(self):
        assert self.entered.acquire(timeout=PATIENCE)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def start_worker(gate):
    """Return a function that starts a worker whose batches wait at the gate."""
    workers = []

    def start(**options):
        workers.append(Worker(gate, lambda error: None, **options))
        workers[-1].start()
        return workers[-1]

    yield start
    for _ in range(100):
        gate.let_through.release()
    assert all(worker.stop(PATIENCE) for worker in workers)


def test_the_worker_drops_frames_that_newer_ones_replace(start_worker, gate):
    worker = start_worker()
    worker.put('left', 0)
    gate.await_entry()
    assert [worker.put('left', frame) for frame in range(1, 6)] == [False] + [True] * 4
    gate.let_through.release()
    gate.await_entry()
    assert gate.batches == [[('left', 0)], [('left', 5)]]


def test_a_fast_camera_does_not_starve_a_slow_one(start_worker, gate):
    worker = start_worker()
    worker.put('fast', 0)
    gate.await_entry()
    worker.put('fast', 1)
    worker.put('slow', 2)
    worker.put('fast', 3)
    gate.let_through.release()
    gate.await_entry()
    assert gate.batches[1] == [('fast', 3), ('slow', 2)]


def test_a_stopped_worker_ends_its_frame_discards_the_waiting_ones_and_can_start_again(
    start_worker, gate
):
    worker = start_worker()
    worker.put('camera', 1)
    gate.await_entry()
    worker.put('camera', 2)
    start = time.monotonic()
    assert not worker.stop(timeout=0.2)
    assert time.monotonic() - start > 0.15
    gate.let_through.release()
    assert worker.stop(PATIENCE)
    assert not worker.put('camera', 3)
    worker.start()
    worker.put('other', 4)
    gate.await_entry()
    assert gate.batches == [[('camera', 1)], [('other', 4)]]


def test_a_worker_that_does_not_end_cannot_be_started_again(start_worker, gate):
    worker = start_worker()
    worker.put('camera', 1)
    gate.await_entry()
    assert not worker.stop(timeout=0.1)
    with pytest.raises(RuntimeError, match='the last frame is still being processed'):
        worker.start()


def test_a_failure_is_reported_until_frames_are_processed_again():
    outcomes = iter([RuntimeError('out of memory'), 0, 1])
    reported, processed = [], threading.Semaphore(0)

    def process(batch):
        outcome = next(outcomes)
        processed.release()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    worker = Worker(process, reported.append)
    worker.start()
    for count in range(3):
        worker.put('camera', count)
        assert processed.acquire(timeout=PATIENCE)
    assert worker.stop(PATIENCE)
    assert [str(error) for error in reported] == ['out of memory', 'None']
    assert worker.failures == 1
    assert worker.error is None


def test_repeated_failures_are_retried_with_growing_pauses():
    tries, enough = [], threading.Event()

    def process(batch):
        tries.append(time.monotonic())
        if len(tries) == 4:
            enough.set()
        raise RuntimeError('out of memory')

    worker = Worker(process, lambda error: None)
    worker.start()
    end = time.monotonic() + PATIENCE
    while not enough.is_set():
        assert time.monotonic() < end
        worker.put('camera', 0)
        time.sleep(0.002)
    assert str(worker.error) == 'out of memory'
    assert worker.stop(PATIENCE)
    assert worker.error is None  # a worker that does not run does not fail
    assert worker.failures == len(tries)
    pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
    assert all(pause >= 0.09 * 2**index for index, pause in enumerate(pauses))


def test_a_worker_that_pauses_after_a_failure_stops_at_once(monkeypatch):
    for pause in ('FIRST_PAUSE', 'LONGEST_PAUSE'):
        monkeypatch.setattr(worker_module, pause, 10 * PATIENCE)
    failed = threading.Event()

    def process(batch):
        raise RuntimeError('out of memory')

    worker = Worker(process, lambda error: failed.set())
    worker.start()
    worker.put('camera', 0)
    assert failed.wait(PATIENCE)
    assert worker.stop(PATIENCE)


@pytest.fixture
def _sources_stay_alive(monkeypatch):
    """Let no source of frames be taken for dead because the machine is busy."""
    monkeypatch.setattr(worker_module, 'ALIVE', PATIENCE)


@pytest.mark.usefixtures('_sources_stay_alive')
def test_frames_of_one_stamp_are_processed_together(start_worker, gate):
    worker = start_worker(gather=PATIENCE)
    worker.put('left', 'l1', key=1)
    gate.await_entry()  # the worker does not know the other camera yet
    worker.put('right', 'r1', key=1)
    gate.let_through.release()
    worker.put('left', 'l2', key=2)  # replaces nothing; r1 may be processed or not
    worker.put('right', 'r2', key=2)
    gate.await_entry()
    assert gate.batches[1] in (
        [('left', 'l2'), ('right', 'r2')],
        [('right', 'r2'), ('left', 'l2')],
    )


@pytest.mark.usefixtures('_sources_stay_alive')
def test_a_frame_waits_for_its_partner_although_the_other_camera_has_an_older_one(
    start_worker, gate
):
    worker = start_worker(gather=PATIENCE)
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


def test_a_frame_without_a_partner_is_not_lost(start_worker, gate):
    worker = start_worker(gather=0.1)
    worker.put('right', 'r1', key=1)
    gate.await_entry()
    gate.let_through.release()
    worker.put('left', 'l2', key=2)
    gate.await_entry()
    assert gate.batches == [[('right', 'r1')], [('left', 'l2')]]


@pytest.mark.usefixtures('_sources_stay_alive')
def test_cameras_whose_stamps_never_match_stop_waiting(start_worker, gate, monkeypatch):
    monkeypatch.setattr(worker_module, 'MAX_VAIN_WAITS', 3)
    worker = start_worker(gather=0.5)
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
    assert waits[0] >= 0.5
    assert min(waits[3:]) < 0.5


def test_frames_that_are_put_together_are_processed_together(start_worker, gate):
    worker = start_worker()
    for number in range(3):
        with worker.together():
            worker.put('left', number)
            time.sleep(0.05)  # the thread would take the first frame alone
            worker.put('right', number)
        gate.await_entry()
        gate.let_through.release()
    assert gate.batches == [[('left', n), ('right', n)] for n in range(3)]


def test_the_thread_gets_frames_that_were_put_together_before_the_caller_continues(
    start_worker, gate, monkeypatch
):
    worker, rests = start_worker(), []
    while not worker._is_idle:
        time.sleep(0.001)

    def rest(seconds):
        rests.append(seconds)
        assert gate.entered.acquire(timeout=5.0)

    monkeypatch.setattr(worker_module.time, 'sleep', rest)
    with worker.together():
        worker.put('left', 1)
        worker.put('right', 1)
    assert rests == [worker_module.HANDOVER]


@pytest.mark.parametrize('is_running', [False, True])
def test_a_worker_ends_after_a_signal_has_interrupted_its_start(gate, monkeypatch, is_running):
    start = threading.Thread.start

    def interrupted(thread):
        if is_running:
            start(thread)
        raise KeyboardInterrupt

    worker = Worker(gate, lambda error: None)
    monkeypatch.setattr(threading.Thread, 'start', interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.start()
    assert worker.stop(PATIENCE)
