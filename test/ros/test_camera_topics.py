# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch arguments of the topics name those of one camera or of any number of cameras."""

from __future__ import annotations

import pytest

from superpoint_ros.ros.camera_topics import camera_remappings


def test_a_topic_is_that_of_a_single_camera():
    assert camera_remappings([], 'image', '/camera/image_raw') == [('image', '/camera/image_raw')]
    assert camera_remappings([], 'image', 'image') == []


def test_a_relative_topic_is_below_the_name_of_each_camera():
    assert camera_remappings(['left', 'right', 'rear'], 'image', 'image_raw') == [
        ('left/image', 'left/image_raw'),
        ('right/image', 'right/image_raw'),
        ('rear/image', 'rear/image_raw'),
    ]
    assert camera_remappings(['left', 'right'], 'image', 'image') == []


def test_a_list_of_topics_has_one_for_each_camera():
    topics = '/rig/cam0/info, left/info'
    assert camera_remappings(['front', 'left'], 'camera_info', topics) == [
        ('front/camera_info', '/rig/cam0/info'),
        ('left/camera_info', 'left/info'),
    ]
    assert camera_remappings(['front'], 'image', '/front/image_raw') == [
        ('front/image', '/front/image_raw')
    ]


@pytest.mark.parametrize(
    ('cameras', 'value', 'message'),
    [
        (['left', 'right'], '/camera/image_raw', 'left/image_raw, or topics'),
        (['left', 'right'], 'a,b,c', 'each of the cameras left, right; got'),
        (['left'], '/a,/b', 'each of the cameras left; got'),
        ([], '/a,/b', 'one topic without cameras'),
        ([], '', 'the name of a topic'),
        (['left', 'right'], 'a,', 'the name of a topic'),
    ],
)
def test_a_topic_that_cannot_be_that_of_each_camera_is_refused(cameras, value, message):
    with pytest.raises(ValueError, match=f'image must be .*{message}'):
        camera_remappings(cameras, 'image', value)
