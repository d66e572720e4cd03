# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Reasons why nothing arrives on a topic, for log messages, and topics to use instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo

WATCHDOG_TIMEOUT = 5.0
"""Seconds without a message after which the reason is looked for."""

_OUTPUTS = ('/features/overlay', '/tracks/overlay', '/tracks/cloud', '/map')
"""Ends of the topics of this package that are no input of its nodes."""


def type_name(message_type: type) -> str:
    """Return the name of a type of sensor_msgs in the ROS graph."""
    return f'sensor_msgs/msg/{message_type.__name__}'


def published_topics(node: Node, message_type: type) -> list[str]:
    """Return the topics of a type of sensor_msgs that have publishers, without `_OUTPUTS`."""
    kind = type_name(message_type)
    return sorted(
        name
        for name, types in node.get_topic_names_and_types()
        if kind in types and not name.endswith(_OUTPUTS) and node.count_publishers(name) > 0
    )


def no_publisher(
    node: Node, message_type: type, name: str, target: Callable[[str], str] = str
) -> str:
    """
    Return that a topic has no publisher, and which topics of its type have one.

    `name` is the topic as users remap it, `target` returns what it is remapped to for a topic.
    """
    topics = ', '.join(map(target, published_topics(node, message_type)))
    if not topics:
        return f'the topic has no publisher, nor has any other topic of {type_name(message_type)}'
    return (
        f'the topic has no publisher; topics of this type are {topics} (remap with {name}:=TOPIC)'
    )


def publisher_names(publishers: Sequence[TopicEndpointInfo]) -> str:
    """Return the full names of the nodes that publish a topic."""
    return ', '.join(
        sorted(f'{each.node_namespace.rstrip("/")}/{each.node_name}' for each in publishers)
    )


def wrong_types(publishers: Sequence[TopicEndpointInfo], message_type: type) -> str:
    """Return that a topic is published with other types; empty if it is not."""
    wanted = type_name(message_type)
    others = sorted({each.topic_type for each in publishers} - {wanted})
    return f'the topic has the type {", ".join(others)}, not {wanted}' if others else ''


def wrong_qos(publishers: Sequence[TopicEndpointInfo], ours: QoSProfile) -> str:
    """Return why no publisher fits the QoS of a subscription; empty if one does."""
    checks = [qos_check_compatible(each.qos_profile, ours) for each in publishers]
    if any(result != QoSCompatibility.ERROR for result, _ in checks):
        return ''
    reasons = sorted({reason for _, reason in checks})
    text = ' '.join(' '.join(reasons).split()).rstrip(';')
    return f'the quality of service of the publisher does not fit ({text})'
