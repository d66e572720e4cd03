# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A flight through the simulated room whose estimated trajectory must be in metres."""

from __future__ import annotations

from functools import partial
import time

from nav_msgs.msg import Odometry
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud
from std_msgs.msg import Header

from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.resources import demo_photographs
from superpoint_ros.ros.messages.camera_messages import camera_info_message
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.simulation.room import SimulatedRoom
from support.node_processes import COMMON_START
from support.ros import milliseconds

FRAMES, BASELINE = 12, 0.12

PAUSE = 5.0
"""Seconds after which a frame without an answer is published again."""


def fly_through_room(observer, topics, namespace='', answer_timeout=100.0):
    """
    Publish frames one after the other; fail unless the odometry is in metres.

    `topics` are names of topics by 'image', 'camera_info', 'right_image', 'right_camera_info' and
    'depth'. The next frame follows when the tracks of the last one have arrived, however slow the
    machine is, and that of the first frame when its pose has arrived: the odometry may receive
    calibrations seconds later than the tracker. Returns the last message of tracks.
    """
    camera = CameraModel.of_view((320, 240))
    room = SimulatedRoom(
        demo_photographs(),
        camera,
        seed=2,
        rate=6.0,
        count=FRAMES,
        noise=1.0,
        baseline=BASELINE,
        with_depth=True,
    )
    tracks = observer.listen(PointCloud, f'{namespace}/tracks', wait=False)
    estimated = observer.listen(Odometry, f'{namespace}/odometry', wait=False)
    graph = observer.observer
    observer.wait_until(
        lambda: (
            graph.count_publishers(f'{namespace}/odometry')
            and graph.count_publishers(f'{namespace}/tracks')
            and graph.count_subscribers(f'{namespace}/tracks') > 1
        ),
        COMMON_START,
    )
    observer.rest(1.0)
    true = {}
    for frame in room:
        stamp = 1000 + round(frame.stamp * 1000)
        true[stamp] = frame.pose[:3, 3]
        header = Header(frame_id='camera')
        messages = {
            'camera_info': camera_info_message(camera, header),
            'right_camera_info': camera_info_message(camera, header, BASELINE),
            'depth': image_message(frame.depth, header),
            'right_image': image_message(frame.second, header),
            'image': image_message(frame.image, header),
        }
        answers = tracks if len(true) > 1 else estimated
        end = time.monotonic() + answer_timeout
        while not has_stamp(answers, stamp):
            if time.monotonic() > end:
                pytest.fail(f'no answer to frame {len(true)} within {answer_timeout} s')
            # Again and again: messages may get lost while nodes discover each other.
            for name, topic in topics.items():
                observer.publish(messages[name], topic, stamp)
            observer.rest(PAUSE, until=partial(has_stamp, answers, stamp))
        # The odometry queues few messages of tracks.
        observer.rest(PAUSE, until=partial(has_stamp, estimated, stamp))
    last = max(true)
    observer.wait_until(partial(has_stamp, estimated, last), answer_timeout)
    assert len({milliseconds(each) for each in estimated}) >= FRAMES - 3
    assert_metric(estimated, true)
    return tracks[-1]


def has_stamp(messages, stamp):
    """Return whether a message has a stamp in milliseconds."""
    return stamp in map(milliseconds, messages)


def assert_metric(estimated, true):
    """Fail unless the distances from the first pose are those of the true positions."""
    places = [(e.pose.pose.position, true[milliseconds(e)]) for e in estimated]
    found = np.array([(p.x, p.y, p.z) for p, _ in places])
    truth = np.array([place for _, place in places])
    # Distances do not depend on the frames of both.
    lengths = np.linalg.norm(found - found[0], axis=1)
    expected = np.linalg.norm(truth - truth[0], axis=1)
    assert expected[-1] > 0.3
    np.testing.assert_allclose(lengths, expected, atol=0.03 * expected[-1])
