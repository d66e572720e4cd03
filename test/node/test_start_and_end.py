"""The detector program says why it cannot start, and ends cleanly whenever it is told to."""

from __future__ import annotations

import signal
import time

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed', exc_type=ImportError)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['-p', 'weights:=nothing.safetensors'], 'there is no weight file nothing.safetensors'),
        (['-p', 'weights:={corrupt}'], 'is not a whole .safetensors file'),
        (['-p', 'weights:={weights}', '-p', 'device:=cuda:99'], "device 'cuda:99' is not there"),
        (['-p', 'threshold:=7.0'], 'threshold out of range Min: 0.0, Max: 1.0, value: 7.0'),
        (['-p', 'nms_radius:=wide'], "'nms_radius' to 'wide' of type 'STRING', expecting type"),
    ],
)
def test_what_cannot_start_says_why_in_one_line_and_fails(
    start_detector, random_weights, tmp_path, arguments, said
):
    corrupt = tmp_path / 'corrupt.safetensors'
    corrupt.write_bytes(random_weights.read_bytes()[:1000])
    places = {'corrupt': corrupt, 'weights': random_weights}
    detector = start_detector(43, *[argument.format(**places) for argument in arguments])
    assert detector.finish() == 1
    (line,) = detector.output.splitlines()
    assert 'FATAL' in line
    assert 'detector cannot start: ' in line
    assert said in line


@pytest.mark.parametrize(
    ('numbers', 'pause'),
    [
        ([signal.SIGTERM], 0),
        ([signal.SIGINT, signal.SIGINT, signal.SIGINT], 0.005),
    ],
)
def test_a_running_node_ends_within_two_seconds(start_detector, random_weights, numbers, pause):
    detector = start_detector(43, '-p', f'weights:={random_weights}')
    detector.wait_for('images from /image')
    start = time.monotonic()
    for number in numbers:
        if detector.process.poll() is None:
            detector.interrupt(number)
        time.sleep(pause)
    assert detector.finish(timeout=10) == 0
    assert time.monotonic() - start < 2
    assert 'Traceback' not in detector.output


@pytest.mark.parametrize('delay', [0.5, 1.0, 2.0])
def test_a_signal_while_it_starts_ends_it_as_well(start_detector, random_weights, delay):
    detector = start_detector(43, '-p', f'weights:={random_weights}')
    time.sleep(delay)
    detector.interrupt()
    assert detector.finish(timeout=10) == 0
    assert 'Traceback' not in detector.output


def test_silence_is_explained_and_its_end_too(start_detector, start_camera, random_weights):
    import numpy as np

    detector = start_detector(
        44, '-p', f'weights:={random_weights}', '-r', 'image:=/front/image_raw'
    )
    detector.wait_for('images from /front/image_raw')
    camera = start_camera(44)
    camera.claim_for_text('/front/image_raw')
    said = '/front/image_raw for 5 s: the topic has the type std_msgs/msg/String, not sensor_msgs'
    detector.wait_for(said)
    camera.publish(np.zeros((32, 32), np.uint8), 1000, count=30, topic='/front/image_raw')
    detector.wait_for('images come on /front/image_raw')
    detector.interrupt(signal.SIGTERM)
    assert detector.finish(timeout=10) == 0
