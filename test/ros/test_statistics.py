# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rates, times and counts of the last seconds."""

from __future__ import annotations

import pytest

from superpoint_ros.ros.frame_statistics import FrameStatistics
from superpoint_ros.ros.throttle import Throttle


def test_nothing_yet():
    summary = FrameStatistics(now=100.0).summary(now=101.0)
    assert (summary.rate_in, summary.rate) == (0, 0)
    assert summary.stages == {}
    assert summary.latency is None
    assert (summary.published, summary.keypoints, summary.bad_frames) == (0, 0, {})
    assert (summary.received, summary.dropped, summary.lately_dropped) == (0, 0, 0)


def test_rates_and_times_look_back_ten_seconds_and_counts_to_the_start():
    statistics = FrameStatistics(now=0.0)
    statistics.add_frame(1.0, {'inference': 9.0, 'old': 1.0}, latency=9.0, keypoints=1)
    for index in range(100):
        milliseconds = (index + 1) / 1000
        statistics.add_frame(20 + index / 10, {'inference': milliseconds}, None, keypoints=index)
    summary = statistics.summary(now=29.95)
    assert summary.rate == pytest.approx(10.0)
    assert summary.stages == {'inference': pytest.approx((0.0505, 0.09901))}
    assert summary.latency is None
    assert summary.published == 101
    assert summary.keypoints == 99


def test_bad_frames_are_counted_by_reason():
    statistics = FrameStatistics(now=0.0)
    reasons = ('step', 'size', 'step')
    assert [statistics.add_bad_frame(0.5, reason) for reason in reasons] == [1, 1, 2]
    statistics.add_arrival(0.6, overtakes=False)
    summary = statistics.summary(now=1.0)
    assert summary.bad_frames == {'step': 2, 'size': 1}
    assert str(summary) == (
        '0 frames published, lately 0.0 a second; bad frames: size 1, step 2; '
        'overtaken while they waited: 0 of 1 that came'
    )


def test_the_part_of_the_frames_that_is_lost_looks_back_ten_seconds():
    statistics = FrameStatistics(now=0.0)
    for index in range(10):
        statistics.add_arrival(1.0, overtakes=True)
        statistics.add_arrival(20 + index / 10, overtakes=index % 5 == 0)
    statistics.add_bad_frame(1.0, 'step')
    statistics.add_bad_frame(20.5, 'size')
    summary = statistics.summary(now=21.0)
    assert (summary.received, summary.dropped) == (20, 12)
    assert summary.rate_in == pytest.approx(1.0)
    assert summary.lately_dropped == pytest.approx(0.2)
    assert summary.lately_bad == pytest.approx(0.1)


def test_a_summary_reads_as_a_line():
    statistics = FrameStatistics(now=0.0)
    for _ in range(4):
        statistics.add_frame(1.0, {'inference': 0.010}, latency=0.0125, keypoints=3)
    assert str(statistics.summary(now=2.0)) == (
        '4 frames published, lately 2.0 a second; inference 10.0 ms (p50), 10.0 ms (p99); '
        'latency 12.5 ms (p50), 12.5 ms (p99); '
        'overtaken while they waited: 0 of 0 that came'
    )


def test_a_throttle_lets_each_subject_through_once_in_a_period():
    throttle = Throttle(period=60.0)
    assert [throttle.ready(s) for s in ('a', 'a', 'b', 'a')] == [True, False, True, False]
    eager = Throttle(period=0.0)
    assert [eager.ready('a'), eager.ready('a')] == [True, True]
