# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Events of topics, which not every RMW implementation supports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import (
    PublisherEventCallbacks,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)


def with_events(
    create: Callable[..., Any], events: SubscriptionEventCallbacks | PublisherEventCallbacks
) -> Any:
    """
    Return the subscription or publisher that `create(event_callbacks=events)` makes.

    If the RMW implementation does not support one of the events, none of them is reported.
    """
    try:
        return create(event_callbacks=events)
    except UnsupportedEventTypeError:
        return create()
