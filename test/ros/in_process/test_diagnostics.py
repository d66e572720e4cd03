# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The diagnostics of the node, while it works and while it fails."""

from __future__ import annotations

from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus
import pytest

from superpoint_ros.model.weights import read_weights, save_weights
from superpoint_ros.ros.detector.worker import Worker
from superpoint_ros.ros.diagnostics import (
    input_status,
    network_status,
    status_values,
    UNTRAINED,
)
from superpoint_ros.ros.frame_statistics import FrameStatistics

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def summary(arrivals=0, replaced=0, frames=0, bad=0, lost=0):
    statistics = FrameStatistics(now=0.0)
    statistics.add_lost(1.0, lost)
    for index in range(arrivals):
        statistics.add_arrival(1.0, replaces=index < replaced)
    for _ in range(frames):
        statistics.add_frame(1.5, {'inference': 0.02}, 0.03, keypoints=12)
    for _ in range(bad):
        statistics.add_bad_frame(1.6, 'step', 'the step is too small')
    return statistics.summary(now=2.0)


def test_the_status_of_a_camera_whose_frames_are_processed_is_ok():
    status = input_status('detector: /image', 'cpu', summary(arrivals=8, replaced=2, frames=6))
    assert (status.level, status.message) == (OK, '3.0 frames per second')
    assert (status.name, status.hardware_id) == ('detector: /image', 'cpu')
    values = status_values(status)
    assert values['rate in (Hz)'] == '4.00'
    assert values['rate out (Hz)'] == '3.00'
    assert values['latency p50 (ms)'] == values['latency p99 (ms)'] == '30.00'
    assert values['inference p99 (ms)'] == '20.00'
    assert values['keypoints'] == '12'
    assert (values['frames received'], values['frames dropped']) == ('8', '2')
    assert values['frames dropped lately (%)'] == '25.0'


@pytest.mark.parametrize(
    ('numbers', 'trouble', 'said'),
    [
        ({}, 'no images on /image for 5 s', 'no images on /image for 5 s'),
        ({'arrivals': 10, 'replaced': 6, 'frames': 4}, '', '60% of the frames are dropped'),
        (
            {'arrivals': 10, 'frames': 8, 'bad': 2},
            '',
            '20% of the frames cannot be used: the step is too small',
        ),
        ({'arrivals': 6, 'frames': 6, 'lost': 4}, '', '40% of the frames are lost before they'),
    ],
)
def test_trouble_of_a_camera_is_a_warning(numbers, trouble, said):
    status = input_status('detector: /image', 'cpu', summary(**numbers), trouble)
    assert status.level == WARN
    assert said in status.message


def test_a_topic_that_is_idle_on_purpose_is_well_whatever_happened_before():
    status = input_status('', '', summary(arrivals=6, lost=4, bad=3), note='not active')
    assert (status.level, status.message) == (OK, 'not active')


def test_the_status_without_a_network_is_the_lifecycle_state():
    status = network_status('detector: network', None, 'unconfigured', failures=0)
    assert (status.level, status.message) == (OK, 'unconfigured')


def test_the_diagnostics_of_a_running_node_have_rates_times_and_network(
    start_inside, image, random_weights
):
    system = start_inside()
    system.answers(image, count=3)
    level, message, values = system.status('/image')
    assert level == OK
    assert 'frames per second' in message
    assert int(values['frames published']) >= 3
    assert float(values['inference p50 (ms)']) > 0
    assert int(values['keypoints']) > 20
    level, _, values = system.newest_status('network')
    assert level == OK
    assert values['weights'] == str(random_weights)
    assert (values['device'], values['state']) == ('cpu', 'active')
    assert values['image conversion'].startswith(('cv_bridge', 'built-in ('))
    assert values['engine'] == system.node.detector.engine.name
    assert values['precision'] == system.node.detector.engine.precision


def test_weights_whose_descriptors_are_untrained_are_a_warning(
    start_inside, random_weights, wait_for_log, tmp_path
):
    network, metadata = read_weights(random_weights)
    path = tmp_path / 'magicpoint.safetensors'
    save_weights(path, network, replace(metadata, descriptors_trained=False))
    system = start_inside(weights=str(path))
    wait_for_log(system, UNTRAINED)
    assert system.status('network')[:2] == (WARN, UNTRAINED)


def fail(*arguments):
    raise RuntimeError('CUDA out of memory')


def test_a_failing_network_is_reported_and_tried_until_it_works(
    start_inside, image, wait_for_log, monkeypatch
):
    system = start_inside()
    system.answers(image)
    # After some errors of CUDA, its memory cannot be freed either.
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.empty_cache', fail)
    pipeline = system.node.detector.pipeline
    pipeline.infer = fail
    image.header.frame_id = 'while the network fails'

    def fails():
        system.publish(image, 'image')
        return system.newest_status('network')[0] == ERROR

    system.wait_until(fails)
    _, message, values = system.newest_status('network')
    assert message == 'inference fails: RuntimeError: CUDA out of memory'
    assert int(values['failures']) >= 1
    assert system.answers_to(image) == []
    del pipeline.infer
    system.answers(image)
    system.wait_until(lambda: system.newest_status('network')[0] == OK)
    said = wait_for_log(system, 'inference recovered')
    assert 'inference failed (1 so far): RuntimeError: CUDA out of memory' in said


def test_a_node_that_is_deactivated_while_the_network_fails_is_inactive_and_well(
    start_inside, image
):
    system = start_inside()
    system.node.detector.pipeline.infer = fail

    def fails():
        system.publish(image, 'image')
        return system.newest_status('network')[0] == ERROR

    system.wait_until(fails)
    system.node.trigger_deactivate()
    level, message, values = system.status('network')
    assert (level, message) == (OK, 'inactive')
    assert 'last error' not in values
    assert int(values['failures']) >= 1


def test_a_network_that_recovers_while_its_status_is_made_has_a_status(start_inside, monkeypatch):
    system = start_inside()
    errors = iter([RuntimeError('CUDA out of memory')])
    with monkeypatch.context() as patch:
        patch.setattr(Worker, 'error', property(lambda self: next(errors, None)), raising=False)
        network = system.node.statuses()[0]
    assert network.message == 'inference fails: RuntimeError: CUDA out of memory'
