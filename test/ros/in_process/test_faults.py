# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What happens to a node in the field: broken images, dying publishers, jumping clocks."""

from __future__ import annotations

from array import array
import threading
import time

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.data.image_encodings import ENCODINGS
from superpoint_ros.ros.detector.detector_node import DetectorNode
from superpoint_ros.ros.messages.feature_messages import features_from_message
from superpoint_ros.ros.messages.image_messages import image_message
from support.ros import milliseconds, PATIENCE
from support.ros_domain import ros_domain

DOMAIN = ros_domain(5)  # that of all nodes in the test's process


@st.composite
def images(draw):
    """Return image messages of every encoding, most of them wrong in some way."""
    width, height = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    step = draw(st.one_of(st.just(8 * width), st.integers(0, 500), st.just(2**32 - 1)))
    length = draw(st.one_of(st.just(step * height * 3), st.integers(0, 5000)))
    return Image(
        encoding=draw(st.one_of(st.sampled_from(ENCODINGS), st.text(max_size=8))),
        width=draw(st.one_of(st.just(width), st.just(2**32 - 1))),
        height=height,
        step=step,
        is_bigendian=draw(st.integers(0, 255)),
        data=array('B', bytes(min(length, 60_000))),
    )


def test_none_of_thousands_of_broken_images_ends_the_node(start_inside, image):
    system = start_inside()
    system.answers(image)
    (camera,) = system.node.inputs
    received = 0

    def deliver(message):
        """Hand the message to the node as the executor does, and wait until it is done with."""
        camera._receive(message)
        end = time.monotonic() + PATIENCE
        while True:
            summary = camera.statistics.summary(time.monotonic())
            done = summary.published + sum(summary.bad_frames.values())
            if done == summary.received:
                return summary
            assert time.monotonic() < end, summary
            time.sleep(0.0005)

    @settings(
        max_examples=50,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(images(), min_size=20, max_size=30))
    def shower(messages):
        nonlocal received
        for message in messages:
            deliver(message)
        received += len(messages)
        before = camera.statistics.summary(time.monotonic()).published
        after = deliver(image)
        assert after.published == before + 1
        assert after.keypoints > 20

    shower()
    assert received >= 1000
    assert system.node._worker.failures == 0
    bad = camera.statistics.summary(time.monotonic()).bad_frames
    assert {'encoding', 'size', 'step', 'length'} <= set(bad)
    assert sum(bad.values()) > 300


def test_a_camera_that_ends_and_restarts_is_received_again(start_inside, image):
    system = start_inside()
    system.answers(image)
    system.end_publisher('image')
    system.wait_until(lambda: system.observer.count_publishers('/image') == 0)
    assert system.answers(image, stamp=777).width > 20


def test_stamps_that_jump_are_passed_on(start_inside, image):
    system = start_inside()
    for stamp in (5_000_000, 1000, 2_000_000_000, 1):
        assert milliseconds(system.answers(image, stamp=stamp)) == stamp
        system.rest(0.2)


def test_a_simulated_clock_that_stands_still_or_jumps_stops_nothing(start_inside, image):
    from rosgraph_msgs.msg import Clock

    system = start_inside(use_sim_time=True)
    assert system.answers(image, stamp=90_000).width > 20  # no time has arrived so far
    for seconds in (100, 5, 4000):
        clock = Clock()
        clock.clock.sec = seconds
        system.publish(clock, '/clock')
        system.wait_until(
            lambda seconds=seconds: system.node.get_clock().now().nanoseconds == seconds * 10**9
        )
        assert system.answers(image, stamp=90_000).width > 20
    system.status('/image')
    before = len(system.diagnostics)
    system.wait_until(lambda: len(system.diagnostics) >= before + 2)
    assert system.diagnostics[-1].header.stamp.sec == 4000


def test_the_image_size_may_change_from_frame_to_frame(start_inside):
    system = start_inside()
    rng = np.random.default_rng(0)
    sizes = [(120, 160), (16, 16), (77, 333), (240, 41), (120, 160), (201, 203)]
    for index, (height, width) in enumerate(sizes):
        pixels = rng.integers(0, 256, (height, width), dtype=np.uint8)
        answer = system.answers(image_message(pixels), stamp=1000 + index)
        points = features_from_message(answer).keypoints
        if min(height, width) > 40:
            assert len(points) > 0
            assert points[:, 0].max() > 0.5 * width
            assert points[:, 1].max() > 0.5 * height
        assert (points < (width, height)).all()


@pytest.mark.parametrize('depth', [1, 50])
def test_a_subscriber_that_never_spins_delays_nobody(start_inside, image, depth):
    system = start_inside()
    sleeper = rclpy.create_node('sleeper', context=system.context, use_global_arguments=False)
    sleeper.create_subscription(PointCloud2, '/features', print, QoSProfile(depth=depth))
    system.wait_until(lambda: system.observer.count_subscribers('/features') == 1)
    system.listen_to_features()
    for index in range(80):
        system.publish(image, 'image', stamp=1000 + index)
        system.rest(0.01)
    newest = system.features['features']
    system.wait_until(lambda: newest and milliseconds(newest[-1]) == 1079)
    sleeper.destroy_node()


def test_a_slow_subscriber_gets_the_newest_features_and_delays_nobody(start_inside, image):
    system = start_inside()
    slow, released, stop = [], threading.Event(), threading.Event()

    def listen_slowly():
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=DOMAIN)
        node = rclpy.create_node('slow', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)

        def receive(message):
            slow.append(milliseconds(message))
            released.wait(PATIENCE)

        node.create_subscription(PointCloud2, '/features', receive, QoSProfile(depth=1))
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.05)
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)

    thread = threading.Thread(target=listen_slowly)
    thread.start()
    system.wait_until(lambda: system.observer.count_subscribers('/features') == 1)
    system.listen_to_features()
    system.wait_until(lambda: system.node.count_subscribers('/features') == 2)
    for index in range(60):
        system.publish(image, 'image', stamp=1000 + index)
        system.rest(0.02)
    fast = system.features['features']
    system.wait_until(lambda: fast and milliseconds(fast[-1]) == 1059)
    assert len(slow) == 1
    assert len(fast) > 1
    released.set()
    system.wait_until(lambda: slow[-1] == 1059)
    assert len(slow) <= 3  # the first, the newest, and maybe one that arrived just before that
    stop.set()
    thread.join()


def test_the_node_runs_in_a_namespace_and_its_topics_can_be_remapped(start_inside, image):
    system = start_inside(
        remappings=['__ns:=/robot/head', '__node:=eyes', 'image:=/cam/raw', 'features:=points']
    )
    assert system.answers(image, '/cam/raw', '/robot/head/points').width > 20
    topics = dict(system.node.get_publisher_names_and_types_by_node('eyes', '/robot/head'))
    assert '/robot/head/features/overlay' in topics
    assert system.status('/cam/raw')[2]['frames published'] != '0'
    assert system.diagnostics[-1].status[0].name == 'robot/head/eyes: network'
    system.wait_until(
        lambda: (
            '/robot/head/eyes/set_parameters' in dict(system.node.get_service_names_and_types())
        )
    )


def test_two_nodes_in_one_process_do_not_disturb_each_other(start_inside, image, random_weights):
    system = start_inside()
    values = {'weights': str(random_weights), 'engine': 'torch', 'threshold': 1.0}
    other = DetectorNode(
        context=system.context,
        namespace='other',
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    system.executor.add_node(other)
    assert system.answers(image).width > 20
    assert system.answers(image, 'other/image', 'other/features').width == 0
    other.trigger_deactivate()
    assert system.answers(image).width > 20
    assert other.stop()
    other.destroy_node()
    assert system.answers(image).width > 20
