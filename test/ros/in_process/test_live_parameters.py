# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Parameters that change while the node runs, and the file that holds them all."""

from __future__ import annotations

from dataclasses import replace
import re
import threading

import numpy as np
import pytest

from superpoint_ros.common.settings_table import table_of
from superpoint_ros.detection.covariances import keypoint_covariances
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.ros.detector import detector_node, model_slot
from superpoint_ros.ros.detector.detector_parameters import DETECTOR_GROUPS
from superpoint_ros.ros.messages.feature_messages import (
    covariances_from_message,
    features_from_message,
)
from superpoint_ros.ros.messages.image_messages import gray_from_image
from support.ros import PATIENCE
from support.small_networks import SMALL, write_weights


@pytest.fixture
def other_weights(tmp_path):
    """Return the path of another network's weights, with descriptors of 24."""
    config = replace(SMALL, descriptor_size=24)
    return write_weights(tmp_path / 'other.safetensors', 6, config)


@pytest.fixture
def hold(monkeypatch):
    """
    Return a function that makes one of the model slot's functions wait.

    It returns two events: the function is called, and it may go on.
    """

    def make_wait(name):
        function = getattr(model_slot, name)
        called, released = threading.Event(), threading.Event()

        def wait(*arguments):
            called.set()
            released.wait(PATIENCE)
            return function(*arguments)

        monkeypatch.setattr(model_slot, name, wait)
        return called, released

    return make_wait


def descriptor_size(message):
    return message.fields[3].count


def test_new_weights_are_used_and_bad_ones_refused(
    start_inside, image, random_weights, other_weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(model_slot, 'CHECK_TIMEOUT', 20.0)  # however busy the machine is
    system = start_inside()
    assert descriptor_size(system.answers(image)) == 16
    corrupt = tmp_path / 'corrupt.safetensors'
    corrupt.write_bytes(random_weights.read_bytes()[:1000])
    for path, said in ((corrupt, 'is not a complete .safetensors'), ('none', 'no weight file')):
        result = system.set_parameters(weights=str(path))
        assert not result.successful
        assert said in result.reason
    assert system.node.get_parameter('weights').value == str(random_weights)
    assert descriptor_size(system.answers(image)) == 16

    assert system.set_parameters(weights=str(other_weights)).successful
    system.wait_until(lambda: descriptor_size(system.answers(image)) == 24)
    assert system.status('network')[2]['weights'] == str(other_weights)

    assert system.set_parameters(weights='superpoint_nano').successful
    system.wait_until(lambda: descriptor_size(system.answers(image)) == 64)


def test_covariances_are_published_while_they_are_asked_for(start_inside, image):
    system = start_inside()
    assert covariances_from_message(system.answers(image)) is None
    assert system.set_parameters(covariances=True).successful
    message = system.answers(image)
    covariances = covariances_from_message(message)
    assert covariances.shape == (message.width, 2, 2)
    assert message.width > 0
    assert (np.linalg.eigvalsh(covariances) > 0).all()
    assert system.set_parameters(keypoints='heatmap').successful
    message = system.answers(image)
    settings = DetectionSettings(keypoints='heatmap')
    expected = keypoint_covariances(
        gray_from_image(image), features_from_message(message).keypoints, settings
    )
    np.testing.assert_array_equal(covariances_from_message(message), expected)
    assert system.set_parameters(covariances=False).successful
    assert covariances_from_message(system.answers(image)) is None


def test_the_old_network_works_until_the_new_one_is_ready(
    start_inside, image, other_weights, hold
):
    system = start_inside()
    system.answers(image)
    _, released = hold('create_engine')
    assert system.set_parameters(weights=str(other_weights)).successful
    assert descriptor_size(system.answers(image)) == 16
    released.set()
    system.wait_until(lambda: descriptor_size(system.answers(image)) == 24)


def test_a_file_that_is_slow_to_read_holds_up_no_call_and_is_still_checked(
    start_inside, image, random_weights, other_weights, tmp_path, hold, wait_for_log
):
    system = start_inside()
    _, released = hold('read_weights')
    corrupt = tmp_path / 'corrupt.safetensors'
    corrupt.write_bytes(random_weights.read_bytes()[:1000])
    assert system.set_parameters(weights=str(corrupt)).successful
    released.set()
    system.wait_until(lambda: system.node.get_parameter('weights').value == str(random_weights))
    wait_for_log(system, 'corrupt.safetensors is not a complete .safetensors file')
    assert descriptor_size(system.answers(image)) == 16
    assert system.set_parameters(weights=str(other_weights)).successful
    system.wait_until(lambda: descriptor_size(system.answers(image)) == 24)


def test_weights_that_cannot_be_used_are_replaced_by_those_in_use(
    start_inside, image, random_weights, other_weights, monkeypatch, wait_for_log
):
    def fail(*arguments):
        raise RuntimeError('CUDA out of memory')

    system = start_inside()
    monkeypatch.setattr(model_slot, 'create_engine', fail)
    assert system.set_parameters(weights=str(other_weights)).successful
    system.wait_until(lambda: system.node.get_parameter('weights').value == str(random_weights))
    wait_for_log(system, 'other.safetensors cannot be used: CUDA out of memory')
    assert descriptor_size(system.answers(image)) == 16


def test_weights_that_cannot_be_used_do_not_undo_those_that_are_set_after_them(
    start_inside, image, other_weights, tmp_path, hold, monkeypatch
):
    def fail(*arguments):
        raise RuntimeError('CUDA out of memory')

    system = start_inside()
    with monkeypatch.context() as patch:
        patch.setattr(model_slot, 'create_engine', fail)
        bad = write_weights(tmp_path / 'bad.safetensors', 7, SMALL)
        assert system.set_parameters(weights=str(bad)).successful
        system.node._slot._swap.result(PATIENCE)
    _, released = hold('create_engine')
    assert system.set_parameters(weights=str(other_weights)).successful
    system.status('network')  # at the same time, failures are looked for
    released.set()
    system.wait_until(lambda: descriptor_size(system.answers(image)) == 24)
    assert system.node.get_parameter('weights').value == str(other_weights)


def test_a_call_with_one_invalid_value_changes_no_parameter(start_inside, image, other_weights):
    system = start_inside()
    before = system.answers(image)
    result = system.set_parameters(max_keypoints=5, max_image_size=10, weights=str(other_weights))
    assert not result.successful
    assert 'max_image_size must be 0 (off) or at least 64, got 10' in result.reason
    assert system.answers(image).data == before.data
    assert system.node.get_parameter('max_keypoints').value == 1000


def test_large_images_are_reduced_and_the_keypoints_are_those_of_the_original(start_inside, image):
    system = start_inside()
    full = features_from_message(system.answers(image))
    assert system.set_parameters(max_image_size=80).successful
    reduced = features_from_message(system.answers(image, count=2))
    assert 0 < len(reduced) < len(full)
    assert reduced.keypoints[:, 0].max() > 100
    # The margin of 4 pixels is one of 8 in an image of twice the size, less half a pixel.
    assert reduced.keypoints.min() >= 8 - 1.5


def test_keypoints_spread_over_the_image_on_demand(start_inside, image):
    image.data[: 60 * 160] = type(image.data)('B', bytes(60 * 160))  # nothing in the upper half
    system = start_inside(max_keypoints=12, subpixel=False)
    best = features_from_message(system.answers(image))
    assert system.set_parameters(grid_cells=4).successful
    spread = features_from_message(system.answers(image, count=2))
    assert len(best) == len(spread) == 12

    def occupied(features):
        return len(np.unique(np.floor((features.keypoints + 0.5) / (40, 30)), axis=0))

    assert occupied(spread) > occupied(best)


def test_every_parameter_is_described_as_in_its_table(start_inside):
    system = start_inside()
    for row in (row for group in DETECTOR_GROUPS for row in table_of(group).values()):
        descriptor = system.node.describe_parameter(row.name)
        assert descriptor.description.startswith(row.help)
        assert descriptor.description.endswith(f'Unit: {row.unit}.' if row.unit else row.help)
        assert descriptor.read_only is not row.live
        (bounds,) = (*descriptor.integer_range, *descriptor.floating_point_range) or (None,)
        ends = bounds and (bounds.from_value, bounds.to_value)
        assert ends == row.range
        assert all(choice in descriptor.additional_constraints for choice in row.choices)


@pytest.mark.parametrize(
    ('old', 'value', 'new'),
    [
        ('blobs', False, "keypoints ('hessian' for true, 'heatmap' for false)"),
        ('levels', 2, 'descriptor_scales'),
        ('magnification', 1.5, 'upscale_factor'),
    ],
)
def test_a_parameter_that_was_renamed_is_refused_with_its_new_name(start_inside, old, value, new):
    with pytest.raises(ValueError, match=re.escape(f'{old} was renamed: use {new}')):
        start_inside(**{old: value})


def test_the_node_ends_while_weights_are_being_changed(
    start_inside, image, other_weights, hold, monkeypatch
):
    system = start_inside()
    system.answers(image)
    before = system.node.detector
    begun, released = hold('create_engine')
    monkeypatch.setattr(detector_node, 'STOP_TIMEOUT', 0.2)
    assert system.set_parameters(weights=str(other_weights)).successful
    assert begun.wait(PATIENCE)
    assert not system.node.stop()  # the program leaves at once then
    released.set()
    assert system.node._slot.stop(timeout=PATIENCE)
    assert system.node.detector is before


def test_weights_that_are_set_repeatedly_are_used(start_inside, random_weights, other_weights):
    system = start_inside()
    for path in (other_weights, random_weights, other_weights):
        assert system.set_parameters(weights=str(path)).successful
    system.wait_until(lambda: system.node.detector.weights == other_weights)
    assert system.node._slot.stop(timeout=PATIENCE)
    assert system.node.detector.weights == other_weights
