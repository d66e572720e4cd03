# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Publishers and subscriptions, whose quality of service parameters `qos_overrides` change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.event_handler import (
    PublisherEventCallbacks,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from superpoint_ros.ros.parameters import given_parameters, QOS_OVERRIDES

_POLICIES = {'history': QoSHistoryPolicy, 'reliability': QoSReliabilityPolicy}
_MAX_DEPTH = 2**31 - 1  # of DDS


def publish_to(
    node: Node, message_type: type, topic: str, qos: QoSProfile | int, **events: Any
) -> Publisher:
    """
    Return a new publisher; `events` are callbacks of `PublisherEventCallbacks` by name.

    Raises what `subscribe_to` raises.
    """
    _check_overrides(node, 'publisher', topic, topic)
    create = partial(node.create_publisher, message_type, topic, qos)
    return _with_overrides(create, PublisherEventCallbacks(**events))


def subscribe_to(
    node: Node,
    message_type: type,
    topic: str,
    callback: Callable,
    qos: QoSProfile,
    name: str | None = None,
    **events: Any,
) -> Subscription:
    """
    Return a new subscription; `events` are callbacks of `SubscriptionEventCallbacks` by name.

    If the RMW implementation does not support one of the events, none of them is reported. `name`
    is the topic as users remap it, if it is not `topic`. Parameters that resemble overrides but
    have no effect are logged, once per topic. Raises ValueError that names a parameter with a
    wrong value: rclpy's error names neither the topic nor what is allowed.
    """
    _check_overrides(node, 'subscription', topic, name or topic)
    create = partial(node.create_subscription, message_type, topic, callback, qos)
    return _with_overrides(create, SubscriptionEventCallbacks(**events))


def _with_overrides(
    create: Callable[..., Any], events: SubscriptionEventCallbacks | PublisherEventCallbacks
) -> Any:
    """Return what `create` makes with parameters for its QoS and, if possible, with events."""
    create = partial(create, qos_overriding_options=QoSOverridingOptions.with_default_policies())
    try:
        return create(event_callbacks=events)
    except UnsupportedEventTypeError:
        return create()


def _check_overrides(node: Node, kind: str, topic: str, name: str) -> None:
    """Check the parameters for a 'publisher' or 'subscription' at its first use."""
    topic = node.resolve_topic_name(topic)
    if node.has_parameter(f'{QOS_OVERRIDES}{topic}.{kind}.depth'):
        return
    for key, parameter in given_parameters(node).items():
        parts = key.removeprefix(QOS_OVERRIDES).split('.')  # names of topics have no dots
        if not key.startswith(QOS_OVERRIDES) or len(parts) != 3 or parts[1] != kind:
            continue
        given, _, policy = parts
        if given != topic:
            if given.strip('/') == name.strip('/'):
                right = f'{QOS_OVERRIDES}{topic}.{kind}.{policy}'
                node.get_logger().warning(
                    f'the parameter {key} has no effect: the full name of {name} is {topic}, use '
                    f'{right}'
                )
        elif policy in _POLICIES or policy == 'depth':
            _check_value(key, policy, parameter.value)
        else:
            node.get_logger().warning(
                f'the parameter {key} has no effect: only history, depth and reliability can be '
                'overridden'
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
