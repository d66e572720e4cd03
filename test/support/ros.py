# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What tests of nodes share: an observer in the test's process, and launch descriptions."""

from __future__ import annotations

import time

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

PATIENCE = 60.0
"""Seconds to wait for what takes a moment on an idle machine."""


class Observer:
    """
    A node in the test's process that publishes, listens and calls services.

    The test spins it by `wait_until` and `rest`. Other nodes can be added to its executor.
    """

    def __init__(self, domain, namespace='', remappings=()):
        self.context = rclpy.Context()
        arguments = [word for mapping in remappings for word in ('-r', mapping)]
        rclpy.init(args=['--ros-args', *arguments], context=self.context, domain_id=domain)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.observer = rclpy.create_node(
            'observer', namespace=namespace, context=self.context, use_global_arguments=False
        )
        self.executor.add_node(self.observer)
        self.tested = []
        self._publishers = {}

    def add(self, kind, parameters=None):
        """Return a node of the kind, with these parameters, in the test's process."""
        overrides = [Parameter(name, value=v) for name, v in (parameters or {}).items()]
        node = kind(context=self.context, parameter_overrides=overrides)
        self.tested.append(node)
        self.executor.add_node(node)
        return node

    def wait_until(self, condition, timeout=PATIENCE):
        """Handle messages until the condition is true; fail after the timeout."""
        end = time.monotonic() + timeout
        while not condition():
            self.executor.spin_once(timeout_sec=0.02)
            if time.monotonic() > end:
                pytest.fail(f'not true within {timeout} s')

    def busy_time_until(self, condition):
        """
        Handle messages until the condition is true; return the seconds of this thread until then.

        They are its processor time while it never sleeps. On an idle machine that is the time of a
        clock. On a busy one, the processes that are waited for get about as much.
        """
        start, end = time.thread_time(), time.monotonic() + PATIENCE
        while not condition():
            self.executor.spin_once(timeout_sec=0)
            if time.monotonic() > end:
                pytest.fail(f'not true within {PATIENCE} s')
        return time.thread_time() - start

    def rest(self, seconds, until=lambda: False):
        """Handle messages for some time, or until the condition is true; return whether it is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.executor.spin_once(timeout_sec=0.02)
        return until()

    def listen(self, kind, topic, wait=True):
        """Return a list to which the messages of a topic are added, after it has a publisher."""
        messages = []
        self.observer.create_subscription(kind, topic, messages.append, 50)
        if wait:
            self.wait_until(lambda: self.observer.count_publishers(topic) > 0)
        return messages

    def publish(self, message, topic, stamp=None):
        """Publish a message, stamped in milliseconds, after the topic has a subscriber."""
        if topic not in self._publishers:
            self._publishers[topic] = self.observer.create_publisher(type(message), topic, 50)
            publisher = self._publishers[topic]
            self.wait_until(lambda: publisher.get_subscription_count() > 0)
        if stamp is not None:
            message.header.stamp.sec = stamp // 1000
            message.header.stamp.nanosec = stamp % 1000 * 1_000_000
        self._publishers[topic].publish(message)

    def end_publisher(self, topic):
        """Destroy the publisher of a topic."""
        self.observer.destroy_publisher(self._publishers.pop(topic))

    def call(self, service_type, name, request):
        """Return the response of a service."""
        client = self.observer.create_client(service_type, name)
        self.wait_until(client.service_is_ready)
        future = client.call_async(request)
        self.wait_until(future.done)
        self.observer.destroy_client(client)
        return future.result()

    def set_parameters_of(self, node, **values):
        """Return the results of setting parameters of a node, each on its own."""
        parameters = [Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        request = SetParameters.Request(parameters=parameters)
        return self.call(SetParameters, f'{node}/set_parameters', request).results

    def close(self):
        """Stop the tested nodes and leave ROS."""
        for node in self.tested:
            node.stop()
        self.executor.shutdown()
        for node in (*self.tested, self.observer):
            node.destroy_node()
        rclpy.try_shutdown(context=self.context)


def milliseconds(message):
    """Return the stamp of a message in milliseconds."""
    return message.header.stamp.sec * 1000 + message.header.stamp.nanosec // 1_000_000


def launch_description(file, domain, statuses, **arguments):
    """
    Return a description that includes one of the package's launch files.

    Its nodes are on a ROS domain; the exit statuses of its processes are added to a list.
    """
    from ament_index_python.packages import get_package_share_path
    from launch import LaunchDescription
    from launch.actions import (
        IncludeLaunchDescription,
        RegisterEventHandler,
        SetEnvironmentVariable,
    )
    from launch.event_handlers import OnProcessExit
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    import launch_pytest

    def on_exit(event, _):
        statuses.append(event.returncode)

    path = get_package_share_path('superpoint_ros') / 'launch' / file
    return LaunchDescription(
        [
            SetEnvironmentVariable('ROS_DOMAIN_ID', str(domain)),
            RegisterEventHandler(OnProcessExit(on_exit=on_exit)),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(path)), launch_arguments=arguments.items()
            ),
            launch_pytest.actions.ReadyToTest(),
        ]
    )
