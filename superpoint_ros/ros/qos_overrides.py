# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Parameters `qos_overrides` that change the quality of service of the topics of a node."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import QoSHistoryPolicy, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from superpoint_ros.ros.parameters import given_parameters

_PREFIX = 'qos_overrides.'

_POLICIES = {'history': QoSHistoryPolicy, 'reliability': QoSReliabilityPolicy}
_MAX_DEPTH = 2**31 - 1  # of DDS


def overriding_options(
    node: Node, kind: str, topic: str, name: str | None = None
) -> QoSOverridingOptions:
    """
    Return the options for rclpy by which parameters override the QoS of a topic.

    `kind` is 'publisher' or 'subscription', `topic` the name that rclpy gets, and `name` the one
    that users remap, if it is another one. At the first use of a topic, parameters that resemble
    its overrides but have no effect are logged. Raises ValueError that names a parameter with a
    wrong value: rclpy's error names neither the topic nor what is allowed.
    """
    topic, name = node.resolve_topic_name(topic), name or topic
    if not node.has_parameter(f'{_PREFIX}{topic}.{kind}.depth'):
        for key, parameter in given_parameters(node).items():
            _check(node, key, parameter.value, (topic, kind), name)
    return QoSOverridingOptions.with_default_policies()


def _check(node: Node, key: str, value: object, used: tuple[str, str], name: str) -> None:
    """Check one parameter of the node; `used` are the full topic and the kind of its end."""
    parts = key.removeprefix(_PREFIX).split('.')  # names of topics have no dots
    if not key.startswith(_PREFIX) or len(parts) != 3:
        return
    topic, kind, policy = parts
    if (topic, kind) == used:
        if policy in _POLICIES or policy == 'depth':
            _check_value(key, policy, value)
        else:
            node.get_logger().warning(
                f'the parameter {key} has no effect: only history, depth and reliability can be '
                'overridden'
            )
    elif kind == used[1] and topic.strip('/') == name.strip('/'):
        right = f'{_PREFIX}{used[0]}.{kind}.{policy}'
        node.get_logger().warning(
            f'the parameter {key} has no effect: the full name of {name} is {used[0]}, use {right}'
        )


def _check_value(key: str, policy: str, value: object) -> None:
    """Raise ValueError unless the value of a policy is one that rclpy accepts, or of a type."""
    if policy == 'depth':
        if isinstance(value, int) and not 0 <= value <= _MAX_DEPTH:
            raise ValueError(f'{key} must lie between 0 and {_MAX_DEPTH}, got {value}')
        return  # rclpy names a parameter of another type
    names = [each.name.lower() for each in _POLICIES[policy] if each.name != 'UNKNOWN']
    if isinstance(value, str) and value.lower() not in names:
        raise ValueError(f'{key} must be one of {", ".join(names)}; got {value!r}')
