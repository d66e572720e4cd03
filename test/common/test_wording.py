# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Messages have the plural of a noun except for 1, and numbers without exponents."""

from superpoint_ros.common.wording import counted, counted_keypoints, plain_text


def test_a_noun_has_its_plural_except_for_1():
    assert [counted(n, 'image') for n in (0, 1, 2)] == ['0 images', '1 image', '2 images']
    assert [counted(n, 'match', 'matches') for n in (1, 2)] == ['1 match', '2 matches']


def test_a_mean_is_named_as_such_except_for_a_single_image():
    assert counted_keypoints(2, 7) == '2 images, 4 keypoints each on average'
    assert counted_keypoints(1, 1, 'photograph') == '1 photograph, 1 keypoint'
    assert counted_keypoints(0, 0) == '0 images, 0 keypoints each on average'


def test_a_value_is_written_as_in_parameter_files():
    values = (1e-5, 0.5, 3, True, 'auto', 2.5e20)
    expected = ['0.00001', '0.5', '3', 'true', 'auto', '250000000000000000000']
    assert list(map(plain_text, values)) == expected
