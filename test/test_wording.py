# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Messages have the plural of a noun except for 1."""

from superpoint_ros.wording import counted, counted_keypoints


def test_a_noun_has_its_plural_except_for_1():
    assert [counted(n, 'image') for n in (0, 1, 2)] == ['0 images', '1 image', '2 images']
    assert [counted(n, 'match', 'matches') for n in (1, 2)] == ['1 match', '2 matches']


def test_a_mean_is_named_as_such_except_for_a_single_image():
    assert counted_keypoints(2, 7) == '2 images, 4 keypoints each on average'
    assert counted_keypoints(1, 1, 'photograph') == '1 photograph, 1 keypoint'
    assert counted_keypoints(0, 0) == '0 images, 0 keypoints each on average'
