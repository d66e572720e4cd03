# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Messages of two topics are paired by their stamps, and none is lost or waits forever."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.ros.topics.pairing import Pairing

MS = 1_000_000


def test_equal_stamps_are_a_pair_whichever_comes_first():
    pairs = Pairing(0.001, 0.1)
    assert pairs.add(0, 'L1', 1, 0.0) == []
    assert pairs.add(1, 'R1', 1, 0.01) == [('L1', 'R1')]
    assert pairs.add(1, 'R2', 100 * MS, 0.1) == []
    assert pairs.add(0, 'L2', 100 * MS, 0.11) == [('L2', 'R2')]
    assert pairs.add(0, 'L3', 200 * MS, 0.2) == []
    assert pairs.add(1, 'R3', 200 * MS + 999_999, 0.21) == [('L3', 'R3')]


def test_messages_without_stamps_are_not_paired_because_one_may_be_lost():
    pairs = Pairing(0.001, 0.3)
    assert pairs.add(0, 'L1', 0, 0.0) == [('L1', None)]
    for index in range(2, 80):  # R1 is lost
        now = index / 30
        assert pairs.add(0, f'L{index}', 0, now) == [(f'L{index}', None)]
        assert pairs.add(1, f'R{index}', 0, now + 0.001) == [(None, f'R{index}')]
    assert pairs.trouble(now + 0.002) == 'stamps are 0; set header.stamp in the driver'
    assert pairs.add(0, 'L80', 5, 2.7) == []  # from now on with stamps
    assert pairs.add(1, 'R80', 5, 2.7) == [('L80', 'R80')]


def test_the_nearest_stamp_within_the_tolerance_is_taken():
    pairs = Pairing(0.02, 0.1)
    assert pairs.add(1, 'early', 90 * MS, 0.1) == []
    assert pairs.add(1, 'near', 105 * MS, 0.11) == []
    assert pairs.add(0, 'image', 103 * MS, 0.12) == [(None, 'early'), ('image', 'near')]


def test_a_message_without_partner_is_released_after_the_wait_or_when_it_is_overtaken():
    pairs = Pairing(0.001, 0.1)
    assert pairs.add(1, 'R1', 50 * MS, 0.05) == []
    assert pairs.add(0, 'L2', 100 * MS, 0.1) == []
    assert pairs.expire(0.14) == []
    assert pairs.expire(0.16) == [(None, 'R1')]
    assert pairs.add(0, 'L3', 200 * MS, 0.18) == []
    assert pairs.add(1, 'R3', 200 * MS, 0.19) == [('L2', None), ('L3', 'R3')]


def test_messages_do_not_wait_for_a_topic_that_is_silent():
    pairs = Pairing(0.001, 0.5)
    assert pairs.add(1, 'R', MS, 0.0) == []
    assert pairs.add(0, 'L1', 900 * MS, 0.9) == [(None, 'R')]
    assert pairs.add(0, 'L2', 1200 * MS, 1.2) == []
    assert pairs.add(0, 'L3', 1300 * MS, 1.3) == [('L1', None), ('L2', None), ('L3', None)]
    assert pairs.trouble(1.3) == ''
    assert pairs.add(0, 'L4', 3000 * MS, 3.0) == [('L4', None)]
    assert pairs.trouble(3.1) == 'none arrives'


def test_the_time_after_which_a_topic_is_silent_can_be_longer():
    pairs = Pairing(0.001, 5.0, silence=5.0)
    for second in range(1, 5):
        assert pairs.add(0, f'L{second}', second * 1000 * MS, second) == []
    assert pairs.add(1, 'R2', 2000 * MS, 5.0) == [('L1', None), ('L2', 'R2')]


def test_slow_cameras_wait_for_each_other():
    pairs = Pairing(0.001, 0.5)
    for second in range(4, 24, 4):
        assert pairs.add(0, f'L{second}', second * 1000 * MS, second) == []
        assert pairs.add(1, f'R{second}', second * 1000 * MS, second + 0.4) == [
            (f'L{second}', f'R{second}')
        ]


def test_topics_with_pairs_are_no_trouble_for_two_seconds_after_each():
    pairs = Pairing(0.001, 0.05)
    for second in range(1, 6):
        pairs.add(0, f'L{second}', second * 1000 * MS, second)
        pairs.add(1, f'R{second}', second * 1000 * MS, second)
        assert pairs.trouble(second + 0.9) == ''
    pairs.add(0, 'L6', 7500 * MS, 7.5)
    assert pairs.trouble(7.6) == 'none arrives'


def test_topics_that_are_silent_since_a_pair_just_two_seconds_ago_are_no_trouble():
    pairs = Pairing(0.001, 0.05)
    pairs.add(0, 'L', MS, 1.0)
    pairs.add(1, 'R', MS, 1.0)
    assert pairs.trouble(3.0) == ''


def test_topics_whose_stamps_never_agree_are_explained():
    pairs = Pairing(0.001, 0.05)
    for index in range(30):
        now = index / 10
        pairs.add(0, f'L{index}', index * 100 * MS, now)
        pairs.add(1, f'R{index}', index * 100 * MS + 12 * MS, now + 0.01)
    assert pairs.trouble(3.0) == (
        'stamps differ by at least 12.0 ms; 1.0 ms are allowed (pair_tolerance)'
    )
    pairs.clear()
    assert pairs.trouble(3.0) == ''


def test_only_stamps_since_the_last_pair_explain_why_there_is_none():
    pairs = Pairing(0.001, 0.05)
    for index in range(10):
        now, delay = index / 4, 50 if index > 1 else 0
        pairs.add(0, f'L{index}', index * 250 * MS, now)
        pairs.add(1, f'R{index}', (index * 250 + delay) * MS, now)
    assert pairs.trouble(2.4) == (
        'stamps differ by at least 50.0 ms; 1.0 ms are allowed (pair_tolerance)'
    )


def test_only_the_newest_stamps_explain_why_there_is_no_pair():
    pairs = Pairing(0.001, 0.05)
    for index in range(60):
        now, delay = index / 10, 5 if index < 30 else 12
        pairs.add(0, f'L{index}', index * 100 * MS, now)
        pairs.add(1, f'R{index}', (index * 100 + delay) * MS, now + 0.01)
    assert pairs.trouble(6.0).startswith('stamps differ by at least 12.0 ms')


def test_the_time_until_a_message_has_waited_too_long_is_known():
    pairs = Pairing(0.001, 0.5)
    assert pairs.due(0.0) is None
    pairs.add(0, 'L1', MS, 1.0)
    pairs.add(1, 'R2', 100 * MS, 1.25)
    assert pairs.due(1.25) == 0.25
    assert pairs.expire(1.5) == [('L1', None)]
    assert pairs.due(1.5) == 0.25
    assert pairs.due(9.0) == 0
    pairs.add(0, 'L2', 100 * MS, 1.6)
    assert pairs.due(1.6) is None


def test_partners_that_come_too_late_are_explained():
    pairs = Pairing(0.001, 0.05)
    for index in range(30):
        now, stamp = index / 10, (index + 1) * 100 * MS
        pairs.add(0, f'L{index}', stamp, now)
        assert (f'L{index}', None) in pairs.expire(now + 0.055)
        assert pairs.add(1, f'R{index}', stamp, now + 0.06) == []
    assert pairs.trouble(3.0) == 'none arrives within 0.05 s (pair_wait)'


@pytest.mark.parametrize('seed', range(5))
def test_each_message_is_returned_exactly_once(seed):
    rng = np.random.default_rng(seed)
    pairs, returned, now = Pairing(0.004, 0.15), [], 0.0
    sent = [[], []]
    for index in range(200):
        for side in rng.permutation(2).tolist():
            now += rng.exponential(0.02)
            if rng.random() < 0.8:
                item = (side, index)
                sent[side].append(item)
                stamp = index * 33 * MS + int(rng.normal(0, 2 * MS))
                returned += pairs.add(side, item, stamp, now)
    returned += pairs.expire(now + 10)
    for side in (0, 1):
        assert sorted(pair[side] for pair in returned if pair[side]) == sent[side]
    both = [pair for pair in returned if all(pair)]
    assert len(both) > 60
    assert all(left[1] == right[1] for left, right in both)
