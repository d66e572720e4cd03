# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Helper threads compute while their caller goes on, on other cores than its present one."""

import os
import threading

import pytest

from superpoint_ros.detection import helper_threads
from superpoint_ros.detection.helper_threads import start_in_helper


def test_a_function_runs_in_another_thread_while_the_caller_goes_on():
    caller_has_gone_on = threading.Event()

    def wait():
        assert caller_has_gone_on.wait(60)
        return threading.get_ident()

    result = start_in_helper(wait)
    caller_has_gone_on.set()
    assert result() != threading.get_ident()


def test_an_error_is_raised_where_the_result_is_wanted():
    result = start_in_helper(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result()


@pytest.mark.skipif(
    not hasattr(os, 'sched_getaffinity') or len(os.sched_getaffinity(0)) < 2,
    reason='this process has one core, or the system does not say which ones',
)
def test_helpers_may_run_on_all_cores_but_that_of_the_caller(monkeypatch):
    cores = os.sched_getaffinity(0)
    start_in_helper(threading.get_native_id)()  # so that there is a helper
    for core in sorted(cores)[:2]:
        monkeypatch.setattr(helper_threads, '_core_reader', lambda core=core: lambda: core)
        found = [start_in_helper(lambda: os.sched_getaffinity(0)) for _ in range(3)]
        assert all(each() == cores - {core} for each in found)


def test_helpers_keep_their_cores_if_the_caller_has_no_other_one(monkeypatch):
    start_in_helper(threading.get_native_id)()
    monkeypatch.setattr(helper_threads, '_core_reader', lambda: lambda: 0)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda thread: {0}, raising=False)
    assert start_in_helper(lambda: 7)() == 7


def test_helpers_work_where_the_core_of_a_thread_is_unknown(monkeypatch):
    monkeypatch.setattr(helper_threads, '_core_reader', lambda: None)
    assert start_in_helper(lambda: 7)() == 7
