# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rates, times and counts of the last seconds."""

from __future__ import annotations

from collections import deque

import pytest

from superpoint_ros.ros.frame_statistics import FrameStatistics


def test_new_statistics_are_empty():
    summary = FrameStatistics(now=100.0).summary(now=101.0)
    assert (summary.rate_in, summary.rate) == (0, 0)
    assert summary.stages == {}
    assert summary.latency is None
    assert (summary.published, summary.keypoints, summary.bad_frames) == (0, 0, {})
    assert (summary.received, summary.dropped, summary.lately_dropped) == (0, 0, 0)


def test_rates_and_stage_times_look_back_ten_seconds_and_counts_to_the_start():
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
    statistics.add_arrival(0.6, replaces=False)
    summary = statistics.summary(now=1.0)
    assert summary.bad_frames == {'step': 2, 'size': 1}
    assert str(summary) == (
        '0 frames published, 0.0 per second lately; bad frames: size 1, step 2; '
        'dropped 0 of 1 received, lost 0'
    )


def test_the_fractions_of_dropped_and_bad_frames_look_back_ten_seconds():
    statistics = FrameStatistics(now=0.0)
    for index in range(10):
        statistics.add_arrival(1.0, replaces=True)
        statistics.add_arrival(20 + index / 10, replaces=index % 5 == 0)
    statistics.add_bad_frame(1.0, 'step')
    statistics.add_bad_frame(20.5, 'size')
    summary = statistics.summary(now=21.0)
    assert (summary.received, summary.dropped) == (20, 12)
    assert summary.rate_in == pytest.approx(1.0)
    assert summary.lately_dropped == pytest.approx(0.2)
    assert summary.lately_bad == pytest.approx(0.1)


def test_a_summary_of_statistics_is_one_line():
    statistics = FrameStatistics(now=0.0)
    for _ in range(4):
        statistics.add_frame(1.0, {'inference': 0.010}, latency=0.0125, keypoints=3)
    assert str(statistics.summary(now=2.0)) == (
        '4 frames published, 2.0 per second lately; inference 10.0 ms (p50), 10.0 ms (p99); '
        'latency 12.5 ms (p50), 12.5 ms (p99); dropped 0 of 0 received, lost 0'
    )


def test_lost_messages_are_counted_and_their_fraction_looks_back_ten_seconds():
    statistics = FrameStatistics(now=0.0)
    statistics.add_lost(1.0, 100)
    for index in range(6):
        statistics.add_arrival(20 + index / 10, replaces=False)
        statistics.add_lost(20 + index / 10, 3)
    summary = statistics.summary(now=21.0)
    assert summary.lost == 118
    assert summary.lately_lost == pytest.approx(18 / 24)


def test_statistics_of_hours_take_no_more_memory_than_those_of_ten_seconds():
    statistics = FrameStatistics(now=0.0)
    for index in range(20_000):
        statistics.add_arrival(index / 100, replaces=False)
        statistics.add_frame(index / 100, {'inference': 0.01}, 0.02, 5)
        statistics.add_bad_frame(index / 100, 'step')
    lists = [value for value in vars(statistics).values() if isinstance(value, deque)]
    assert max(map(len, lists)) <= 1001
    assert statistics.summary(now=200.0).published == 20_000
