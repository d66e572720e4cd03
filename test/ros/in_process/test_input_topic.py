# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the node reports about its inputs: losses, missing publishers, clocks and bad images."""

from __future__ import annotations

import time
from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import pytest
from rclpy.event_handler import QoSSubscriptionEventType
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from superpoint_ros.ros.topics import input_topic
from support.ros_domain import ros_domain

DOMAIN = ros_domain(5)


def test_lost_images_are_counted_and_a_warning_with_the_cures(
    start_inside, start_camera, wait_for_log
):
    system = start_inside()
    large = np.zeros((1080, 1920, 3), np.uint8)  # Fast DDS has room for half a megabyte by default
    with start_camera(DOMAIN).flooding(large, 1000):
        system.wait_until(lambda: 'are lost' in system.newest_status('/image')[1])
        level, message, values = system.newest_status('/image')
        assert level == DiagnosticStatus.WARN
        # On a slow machine, all of them are lost.
        assert message.endswith(('% of the frames are lost before they arrive', 'lost on the way'))
        assert int(values['frames lost']) > 0
        assert float(values['frames lost lately (%)']) > 10
        # The watchdog says that messages are lost on the way, too, if all of them are.
        log = wait_for_log(system, 'lost on the way to this node')
    (line,) = [line for line in log.splitlines() if 'lost on the way to this node' in line]
    assert 'images on /image' in line
    for cure in (
        'dds_profile:=large_images',
        'qos_overrides./image.subscription.reliability',
        'image_transport:=compressed',
    ):
        assert cure in line


def lose(system, count, topic='/image'):
    """Report lost messages to the node, as the middleware does."""
    (received,) = (each for each in system.node.subscriptions if each.topic_name == topic)
    (lost,) = (
        each.callback
        for each in received.event_handlers
        if each.event_type == QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST
    )
    lost(SimpleNamespace(total_count_change=count))


def test_the_number_with_which_fast_dds_means_none_is_not_counted_as_lost(start_inside):
    system = start_inside()
    for count in (2, 2**31 - 1, 2**31):
        lose(system, count)
    system.wait_until(lambda: system.status('/image')[2]['frames lost'] == '3')


@pytest.mark.parametrize(
    ('topic', 'parameters'),
    [
        ('/image/compressed', {'image_transport': 'compressed'}),
        ('/depth', {'depth_source': 'image'}),
    ],
)
def test_compression_is_no_cure_for_lost_messages_that_are_or_cannot_be_compressed(
    start_inside, wait_for_log, topic, parameters
):
    system = start_inside(**parameters)
    lose(system, 5, topic)
    log = wait_for_log(system, f'on {topic} are lost on the way')
    (line,) = [line for line in log.splitlines() if 'lost on the way' in line]
    assert line.endswith(f'set qos_overrides.{topic}.subscription.reliability to reliable')


def test_a_warning_says_that_images_are_dropped_why_and_what_is_faster(
    start_inside, wait_for_log, monkeypatch
):
    monkeypatch.setattr(input_topic, 'WINDOW', 0.0)
    system = start_inside()
    (camera,) = system.node.inputs
    for number in range(10):
        camera.statistics.add_arrival(time.monotonic(), replaces=number > 1)
    stages = {'waiting': 0.3, 'inference': 0.185, 'publishing': 0.01}
    camera.statistics.add_frame(time.monotonic(), stages, None, 100)
    log = wait_for_log(system, 'of the images on /image are dropped')
    (line,) = [line for line in log.splitlines() if 'are dropped' in line]
    assert 'WARN' in line
    assert '80% of the images on /image are dropped: ' in line
    assert ' are processed; inference takes 185 ms. To process more, reduce max_image_size' in line


def reason(system, topic):
    """Return the diagnostics' message about a silent topic."""
    system.wait_until(lambda: f'no images on {topic}' in system.newest_status(topic)[1])
    return system.newest_status(topic)[1]


@pytest.fixture
def _short_watchdog_timeout(monkeypatch):
    monkeypatch.setattr(input_topic, 'WATCHDOG_TIMEOUT', 0.5)


@pytest.mark.usefixtures('_short_watchdog_timeout')
def test_a_camera_whose_images_all_get_lost_is_named(start_inside):
    system = start_inside()
    camera = system.observer.create_publisher(Image, '/image', 1)
    system.wait_until(camera.get_subscription_count)
    lose(system, 3)
    end = 'the messages of 1 publisher (/observer) are lost on the way'
    system.wait_until(lambda: system.newest_status('/image')[1].endswith(end))


@pytest.mark.usefixtures('_short_watchdog_timeout')
def test_a_camera_that_pauses_is_distinguished_from_one_that_was_never_received(
    start_inside, image
):
    system = start_inside()
    camera = system.observer.create_publisher(Image, '/image', 1)
    system.wait_until(camera.get_subscription_count)
    never = '1 publisher (/observer), but no message has arrived: nothing was published, or'
    system.wait_until(lambda: never in system.newest_status('/image')[1])
    assert 'set FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for this node' in reason(system, '/image')
    system.listen_to_features()
    system.answers(image, '/image')
    paused = 'but no more messages arrive: it is paused or blocked, or was killed a moment ago'
    system.wait_until(lambda: system.newest_status('/image')[1].endswith(paused))


@pytest.mark.usefixtures('_short_watchdog_timeout')
def test_a_topic_of_compressed_images_that_is_remapped_names_the_transport(
    start_inside, monkeypatch
):
    system = start_inside()
    kind = 'sensor_msgs/msg/CompressedImage'
    # One process cannot have both types on one topic.
    found = [SimpleNamespace(topic_type=kind)]
    monkeypatch.setattr(system.node, 'get_publishers_info_by_topic', lambda topic: found)
    system.observer.create_publisher(CompressedImage, '/cam/image_raw/compressed', 1)
    system.wait_until(lambda: 'image_transport' in reason(system, '/image'))
    assert reason(system, '/image').endswith(
        f'the topic has the type {kind}, not sensor_msgs/msg/Image; '
        'set image_transport:=compressed for compressed images on /cam/image_raw'
    )


@pytest.mark.usefixtures('_short_watchdog_timeout')
def test_a_silent_camera_names_topics_with_publishers_and_its_own_remapping(start_inside):
    system = start_inside(cameras=['left', 'right'])
    for topic in ('/left/image_raw', '/left/features/overlay', '/left/tracks/overlay'):
        system.observer.create_publisher(Image, topic, 1)
    system.observer.create_publisher(PointCloud2, '/points', 1)
    system.observer.create_subscription(Image, '/viewer', print, 1)
    system.wait_until(lambda: system.node.count_publishers('/left/image_raw') == 1)
    system.wait_until(lambda: 'image_raw' in reason(system, '/left/image'))
    assert reason(system, '/left/image').endswith(
        'the topic has no publisher; topics of this type are /left/image_raw '
        '(remap with left/image:=TOPIC)'
    )
    assert '(remap with right/image:=TOPIC)' in reason(system, '/right/image')


@pytest.mark.usefixtures('_short_watchdog_timeout')
@pytest.mark.parametrize(
    ('own', 'kind', 'published', 'end'),
    [
        ('raw', CompressedImage, '/cam/image/compressed', '; set image_transport:=compressed'),
        ('compressed', Image, '/cam/image', '; set image_transport:=raw'),
        ('compressed', CompressedImage, '/cam/image/compressed', ' (remap with image:=TOPIC)'),
    ],
)
def test_images_of_either_transport_are_named_without_the_suffix(
    start_inside, own, kind, published, end
):
    system = start_inside(image_transport=own)
    system.observer.create_publisher(kind, published, 1)
    topic = '/image' if own == 'raw' else '/image/compressed'
    system.wait_until(lambda: '/cam/' in reason(system, topic))
    text = reason(system, topic)
    assert end in text
    assert '/cam/image' in text.replace(',', ' ').split()
    assert '/cam/image/compressed' not in text


@pytest.mark.usefixtures('_short_watchdog_timeout')
def test_quality_of_service_that_does_not_fit_is_the_reason_for_silence(start_inside):
    override = 'qos_overrides./image.subscription.reliability'
    system = start_inside(**{override: 'reliable'})
    best_effort = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    system.observer.create_publisher(Image, '/image', best_effort)
    system.wait_until(lambda: 'does not fit' in reason(system, '/image'))
    assert 'Best effort publisher and reliable subscription' in reason(system, '/image')


@pytest.mark.usefixtures('_short_watchdog_timeout')
def test_a_silent_topic_without_any_candidate_is_reported(start_inside):
    system = start_inside()
    assert 'nor has any other topic of sensor_msgs/msg/Image' in reason(system, '/image')


def test_several_publishers_of_a_topic_are_named_once_if_they_stay(
    start_inside, monkeypatch, wait_for_log
):
    monkeypatch.setattr(input_topic, 'SHARED', 3.0)
    system = start_inside()
    for _ in range(2):
        system.observer.create_publisher(Image, '/image', 1)
    log = wait_for_log(system, 'End all but one')
    assert '2 publishers of /image (/observer, /observer): their images are processed' in log
    system.rest(2.5)
    assert wait_for_log(system, '').count('End all but one') == 1


@pytest.mark.parametrize(
    ('seconds', 'is_relative', 'hint'),
    [
        (
            1,
            False,
            'the driver stamps with another clock, such as the time since the computer was',
        ),
        (
            -3600,
            True,
            'for a bag played with --clock set use_sim_time:=true; otherwise the clocks',
        ),
        (3 * 3600, True, 'the stamps are in the future: the clocks of two computers differ'),
    ],
)
def test_stamps_of_another_clock_give_no_latency_and_a_hint(
    start_inside, image, capfd, seconds, is_relative, hint
):
    system = start_inside()
    for frame in range(2):
        stamp = 1000 * (seconds + is_relative * int(time.time())) + frame
        system.answers(image, stamp=stamp)
    assert system.status('/image')[2]['latency p50 (ms)'] == 'unknown'
    output = capfd.readouterr().err
    assert output.count('latency is not measured: stamps on /image differ by') == 1
    assert output.count(hint) == 1


@pytest.mark.parametrize('seconds', [5, 1_800_000_000])  # simulations start at 0
def test_a_simulated_clock_without_time_is_the_reason_for_no_latency(
    start_inside, image, capfd, seconds
):
    system = start_inside(use_sim_time=True)
    system.answers(image, stamp=1000 * seconds)
    assert system.status('/image')[2]['latency p50 (ms)'] == 'unknown'
    output = capfd.readouterr().err
    assert output.count('use_sim_time is true, but no time has arrived on /clock') == 1
    assert 'set use_sim_time' not in output


def test_another_reason_for_no_latency_is_logged_when_use_sim_time_is_set(
    start_inside, image, capfd
):
    system = start_inside()
    system.answers(image, stamp=1000)
    assert system.set_parameters(use_sim_time=True).successful
    for _ in range(2):
        system.answers(image, stamp=1000)
    output = capfd.readouterr().err
    assert output.count('for a simulation set use_sim_time:=true') == 1
    assert output.count('use_sim_time is true, but no time has arrived on /clock') == 1


def test_a_single_stamp_of_0_is_the_start_of_a_simulation(start_inside, image, capfd):
    (camera,) = start_inside().node.inputs
    for seconds in (0, 1, 2):
        image.header.stamp.sec = seconds
        assert camera.age(image) is None
    assert 'are 0' not in capfd.readouterr().err


def test_a_camera_that_sets_no_stamps_is_reported_once(start_inside, image, capfd):
    system = start_inside()
    system.answers(image, stamp=0)
    system.answers(image, stamp=0)
    system.status('/image')
    output = capfd.readouterr().err
    assert output.count('the stamps on /image are 0') == 1


def test_stamps_of_the_present_give_a_latency(start_inside, image):
    system = start_inside()
    system.answers(image, stamp=time.time_ns() // 1_000_000)
    system.answers(image, stamp=time.time_ns() // 1_000_000)
    assert float(system.status('/image')[2]['latency p50 (ms)']) < 10_000


def test_bad_images_of_a_reason_are_logged_once_in_ten_seconds(start_inside, image, capfd):
    system = start_inside()
    system.answers(image)
    for encoding, width in (('bogus', 160), ('mono8', 0)):
        image.encoding, image.width = encoding, width
        for _ in range(4):
            system.publish(image, 'image')
            system.rest(0.1)
    system.wait_until(lambda: int(system.status('/image')[2].get('bad frames', 0)) > 5)
    lines = [line for line in capfd.readouterr().err.splitlines() if 'skipped a message' in line]
    assert ['encoding' in line for line in lines] == [True, False]


def test_the_quality_of_service_of_every_documented_topic_can_be_overridden(start_inside):
    system = start_inside(
        normalized_coordinates=True,
        **{
            'qos_overrides./image.subscription.reliability': 'reliable',
            'qos_overrides./image.subscription.depth': 3,
            'qos_overrides./camera_info.subscription.reliability': 'reliable',
            'qos_overrides./features.publisher.reliability': 'best_effort',
        },
    )
    reliable, best_effort = QoSReliabilityPolicy.RELIABLE, QoSReliabilityPolicy.BEST_EFFORT
    (camera,) = system.node.inputs
    assert camera._subscription.qos_profile.depth == 3
    assert camera._subscription.qos_profile.reliability == reliable
    assert camera.features.qos_profile.reliability == best_effort
    system.wait_until(lambda: system.observer.get_subscriptions_info_by_topic('/camera_info'))
    (calibrations,) = system.observer.get_subscriptions_info_by_topic('/camera_info')
    assert calibrations.qos_profile.reliability == reliable
    names = system.node.get_parameters_by_prefix('qos_overrides')
    assert {name.rpartition('.')[0] for name in names} == {
        '/image.subscription',
        '/camera_info.subscription',
        '/features.publisher',
        '/features/overlay.publisher',
        '/diagnostics.publisher',
    }
