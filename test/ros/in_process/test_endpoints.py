# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Parameters that override the quality of service: wrong ones are named, useless ones logged."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from superpoint_ros.ros.tracker_node import TrackerNode
from superpoint_ros.ros.visual_odometry_node import VisualOdometryNode
from support.ros import Observer
from support.ros_domain import ros_domain

HISTORIES = 'be one of system_default, keep_last, keep_all'
RELIABILITIES = 'be one of system_default, reliable, best_effort, best_available'


@pytest.mark.parametrize(
    ('end', 'value', 'what'),
    [
        ('/image.subscription.reliability', 'besteffort', RELIABILITIES),
        ('/image.subscription.reliability', 'unknown', RELIABILITIES),
        ('/image.subscription.depth', -1, 'lie between 0 and 2147483647'),
        ('/camera_info.subscription.history', 'keepall', HISTORIES),
        ('/features.publisher.depth', 2**31, 'lie between 0 and 2147483647'),
        ('/features/overlay.publisher.history', 'all', HISTORIES),
        ('/diagnostics.publisher.depth', -1, 'lie between 0 and 2147483647'),
    ],
)
def test_a_wrong_override_is_named_with_what_is_allowed(start_inside, end, value, what):
    name = f'qos_overrides.{end}'
    with pytest.raises(ValueError, match=f'^{name} must {what}[,;] got .?{value}'):
        # A lazy node does not need the topics yet.
        start_inside(normalized_coordinates=True, lazy=True, **{name: value})


@pytest.mark.parametrize(
    ('kind', 'topic'), [(TrackerNode, '/image'), (VisualOdometryNode, '/tracks')]
)
def test_a_wrong_override_of_a_topic_that_is_not_needed_yet_is_an_error_at_the_start(kind, topic):
    unrefined = {'max_refinement': 0.0, 'max_bridged_frames': 0} if kind is TrackerNode else {}
    observer = Observer(ros_domain(5))
    try:
        with pytest.raises(ValueError, match=f'must {HISTORIES}'):
            observer.add(kind, {f'qos_overrides.{topic}.subscription.history': 'x', **unrefined})
    finally:
        observer.close()


def test_overrides_are_accepted_in_any_case_and_with_every_policy_of_ros(start_inside):
    system = start_inside(
        **{
            'qos_overrides./image.subscription.reliability': 'Reliable',
            'qos_overrides./image.subscription.history': 'KEEP_ALL',
            'qos_overrides./image.subscription.depth': 0,
            'qos_overrides./features.publisher.reliability': 'system_default',
        }
    )
    (camera,) = system.node.inputs
    profile = camera._subscription.qos_profile
    assert (profile.reliability.name, profile.history.name) == ('RELIABLE', 'KEEP_ALL')


def test_overrides_without_effect_are_logged_once_with_the_right_name(start_inside, capfd):
    node = start_inside(
        remappings=['__ns:=/robot', 'image:=/camera/image_raw'],
        **{
            'qos_overrides./image.subscription.depth': 5,
            'qos_overrides.features.publisher.reliability': 'best_effort',
            'qos_overrides./robot/features.publisher.durability': 'transient_local',
        },
    ).node
    node.trigger_deactivate()
    node.trigger_activate()
    log = capfd.readouterr().err
    ends = [
        'image.subscription.depth has no effect: the full name of image is /camera/image_raw, use '
        'qos_overrides./camera/image_raw.subscription.depth',
        'features.publisher.reliability has no effect: the full name of features is '
        '/robot/features, use qos_overrides./robot/features.publisher.reliability',
        'durability has no effect: only history, depth and reliability can be overridden',
    ]
    warnings = [line for line in log.splitlines() if 'has no effect' in line]
    assert sorted(end for line in warnings for end in ends if line.endswith(end)) == sorted(ends)
    assert len(warnings) == len(ends)


def test_overrides_of_topics_of_other_nodes_are_not_logged(start_inside, capfd):
    start_inside(
        **{
            'qos_overrides./image.publisher.depth': 5,
            'qos_overrides./features.subscription.depth': 5,
            'qos_overrides./other.subscription.depth': -5,
            'qos_overrides.short': 'x',
        }
    )
    assert 'qos_overrides' not in capfd.readouterr().err
