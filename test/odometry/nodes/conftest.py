# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Nodes in the test's own process, with an observer that publishes and listens."""

from __future__ import annotations

import pytest

from support.ros import Observer
from support.ros_domain import ros_domain

DOMAIN = ros_domain(5)


class Graph(Observer):
    """Some nodes and an observer, spun by the test."""

    def add(self, kind, **parameters):
        """Return a node of the kind, with these parameters."""
        return super().add(kind, parameters)


@pytest.fixture
def graph():
    """Return an observer to whose process nodes can be added."""
    made = Graph(DOMAIN)
    yield made
    made.close()
