# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Depths of keypoints in the detector node: stereo pairs, depth images, and what spoils them."""

from __future__ import annotations

import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from superpoint_ros.ros.messages.feature_messages import (
    features_from_message,
    normalized_from_message,
)
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.topics.pairing import Pairing
from support.rooms import picture
from support.ros import milliseconds

FOCAL, SHIFT = 150.0, 12  # pixels
# The shipped weights: descriptors of untrained ones do not match.
STEREO = {'weights': '', 'cameras': ['left', 'right'], 'depth_source': 'stereo', 'pair_wait': 10.0}


@pytest.fixture
def pixels():
    """Return a gray image (120, 160) of smooth spots."""
    return picture(0, 256)[:120, :160]


def calibration(baseline=0.0, size=(160, 120)):
    """Return a calibration whose k and d are those of the distorted images, and not to be used."""
    p = [FOCAL, 0.0, 80.0, -FOCAL * baseline, 0.0, FOCAL, 60.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    k = [140.0, 0.0, 70.0, 0.0, 140.0, 50.0, 0.0, 0.0, 1.0]
    d = [-0.2, 0.05, 0.0, 0.0, 0.0]
    return CameraInfo(width=size[0], height=size[1], distortion_model='plumb_bob', k=k, d=d, p=p)


class Rig:
    """A detector of a stereo pair; the right image is the left one, shifted."""

    def __init__(self, start_inside, pixels, **parameters):
        self.system = start_inside(**{**STEREO, **parameters})
        for side in ('left', 'right'):
            self.system.listen_to_features(f'{side}/features')
        self.left, self.right = map(image_message, (pixels, np.roll(pixels, -SHIFT, axis=1)))
        self.stamp = 1000
        self.infos = {}

    def calibrate(self, baseline, left=None):
        """Publish these calibrations with each of the following pairs."""
        self.infos = {'left': left or calibration(), 'right': calibration(baseline)}
        self._publish_infos()
        self.system.rest(0.3)

    def _publish_infos(self):
        # Each time, as cameras do: a message may get lost while nodes discover each other.
        for side, info in self.infos.items():
            self.system.publish(info, f'{side}/camera_info')
        self.system.rest(0.05)

    def features(self, side='left', delay=0):
        """Return the features of the next pair, whose right stamp is `delay` ms later."""
        self.stamp += 100
        self._publish_infos()
        stamps = {'left': self.stamp, 'right': self.stamp + delay}
        for name, message in (('left', self.left), ('right', self.right)):
            self.system.publish(message, f'{name}/image', stamp=stamps[name])
        answers = self.system.features[f'{side}/features']
        self.system.wait_until(lambda: stamps[side] in map(milliseconds, answers))
        return answers[-1]

    def trouble(self):
        """Return level and message of the left camera's next diagnostics."""
        return self.system.status('/left/image')[1]


def test_a_stereo_pair_gives_positions_in_metres(start_inside, pixels):
    rig = Rig(start_inside, pixels)
    rig.calibrate(0.12)
    answer = rig.features()
    features = features_from_message(answer)
    known = features.depths.known
    assert known.sum() > 20
    depth = FOCAL * 0.12 / SHIFT
    np.testing.assert_allclose(features.depths.values[known], depth, rtol=0.01)
    # The optical frame, with the matrix p and without distortion.
    directions = normalized_from_message(answer)
    expected = (features.keypoints - (80, 60)) / FOCAL
    np.testing.assert_allclose(directions[known], expected[known], atol=1e-5)
    assert np.isnan(directions[~known]).all()
    assert 0 < np.nanmax(features.depths.sigmas) < 0.1
    right = rig.features('right')
    assert 'x' not in {field.name for field in right.fields}
    level, _, values = rig.system.status('/left/image')
    assert level == DiagnosticStatus.OK
    assert 'depth p50 (ms)' in values


def test_a_calibration_that_changes_is_used_with_the_next_pair(start_inside, pixels):
    rig = Rig(start_inside, pixels)
    rig.calibrate(0.12)
    first = np.nanmedian(features_from_message(rig.features()).depths.values)
    rig.calibrate(0.24)
    second = np.nanmedian(features_from_message(rig.features()).depths.values)
    assert second / first == pytest.approx(2, rel=1e-3)


def test_with_normalized_coordinates_points_without_depth_keep_their_direction(
    start_inside, pixels
):
    rig = Rig(start_inside, pixels, normalized_coordinates=True)
    rig.calibrate(0.12)
    answer = rig.features()
    features = features_from_message(answer)
    assert features.depths.known.any()
    assert not features.depths.known.all()
    expected = (features.keypoints - (80, 60)) / FOCAL
    np.testing.assert_allclose(normalized_from_message(answer), expected, atol=1e-5)


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (lambda rig: rig.calibrate(0.0), 'no baseline'),
        (lambda rig: rig.calibrate(-0.12), 'left and right camera are exchanged'),
        (lambda rig: rig.calibrate(0.12, calibration(size=(640, 480))), 'same image size'),
        (lambda rig: None, 'no calibration received on /left/camera_info'),
    ],
)
def test_pairs_without_a_usable_calibration_have_features_without_depth(
    start_inside, pixels, spoil, reason
):
    rig = Rig(start_inside, pixels)
    spoil(rig)
    features = features_from_message(rig.features())
    assert len(features) > 20
    assert not features.depths.known.any()
    assert reason in rig.trouble()


def test_pairs_that_are_not_rectified_have_features_without_depth_until_they_are(
    start_inside, pixels
):
    rig = Rig(start_inside, pixels)
    rig.calibrate(0.12)
    good = rig.right
    rig.right = image_message(np.roll(pixels, (20, -SHIFT), axis=(0, 1)))
    features = features_from_message(rig.features())
    assert len(features) > 20
    assert not features.depths.known.any()
    assert 'the images are not rectified' in rig.trouble()
    rig.right = good
    assert features_from_message(rig.features()).depths.known.any()
    assert 'no depths' not in rig.trouble()


def test_only_the_executors_thread_uses_the_queue_of_pairs(start_inside, pixels, monkeypatch):
    threads = set()

    def trouble(self, now):
        threads.add(threading.current_thread())
        return ''

    monkeypatch.setattr(Pairing, 'trouble', trouble)
    rig = Rig(start_inside, pixels)
    rig.features()  # without a calibration, so that the worker's thread reports trouble
    assert 'no calibration received' in rig.trouble()
    assert threads == {threading.current_thread()}


def test_images_whose_stamps_differ_are_not_paired_and_not_lost(start_inside, pixels):
    rig = Rig(start_inside, pixels, pair_wait=0.3)
    rig.calibrate(0.12)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        features = features_from_message(rig.features(delay=12))
        assert len(features) > 20
        assert not features.depths.known.any()
        assert rig.features('right', delay=12).width > 20
    trouble = rig.trouble()
    assert 'no image of /right/image belongs to these' in trouble
    assert 'stamps differ by at least 12.0 ms; 1.0 ms are allowed' in trouble


def test_stamps_may_differ_by_the_tolerance(start_inside, pixels):
    rig = Rig(start_inside, pixels, pair_tolerance=0.02)
    rig.calibrate(0.12)
    assert features_from_message(rig.features(delay=12)).depths.known.any()


def test_the_left_camera_goes_on_without_the_right_one(start_inside, pixels):
    rig = Rig(start_inside, pixels, pair_wait=0.3)
    rig.calibrate(0.12)
    end, answers = time.monotonic() + 3, rig.system.features['left/features']
    while time.monotonic() < end:
        rig.stamp += 100
        rig.system.publish(rig.left, 'left/image', stamp=rig.stamp)
        rig.system.wait_until(lambda: rig.stamp in map(milliseconds, answers))
    assert answers[-1].width > 20
    assert rig.trouble().endswith('belongs to these: none arrives')


def test_stereo_needs_two_cameras(start_inside):
    with pytest.raises(ValueError, match='stereo needs two cameras, the left one first'):
        start_inside(depth_source='stereo')
    names = ['left', 'right']
    both = [f'{name}/image:=/camera/image_raw' for name in names]
    with pytest.raises(ValueError, match='two cameras; both are on /camera/image_raw'):
        start_inside(both, depth_source='stereo', cameras=names)


class DepthCamera:
    """A detector of one camera with depth images."""

    def __init__(self, start_inside, pixels, **parameters):
        parameters = {'depth_source': 'image', 'pair_wait': 10.0} | parameters
        self.system = start_inside(**parameters)
        self.system.listen_to_features()
        self.image, self.stamp = image_message(pixels), 1000
        self.system.publish(calibration(), 'camera_info')
        self.system.rest(0.3)

    def features(self, depth=None):
        """Return the features of the next image, with a depth image or without."""
        self.stamp += 100
        self.system.publish(calibration(), 'camera_info')
        self.system.rest(0.05)
        if depth is not None:
            self.system.publish(depth, 'depth', stamp=self.stamp)
        self.system.publish(self.image, 'image', stamp=self.stamp)
        answers = self.system.features['features']
        self.system.wait_until(lambda: self.stamp in map(milliseconds, answers))
        return features_from_message(answers[-1])


@pytest.mark.parametrize(('encoding', 'unit'), [('16UC1', 0.001), ('32FC1', 1.0)])
def test_depth_images_give_positions_in_metres(start_inside, pixels, encoding, unit):
    camera = DepthCamera(start_inside, pixels)
    depth = np.full(pixels.shape, 2.5 / unit, np.uint16 if unit < 1 else np.float32)
    depth[:, 80:] = 0 if unit < 1 else np.nan
    message = image_message(depth)
    message.encoding = encoding
    features = camera.features(message)
    x = features.keypoints[:, 0]
    np.testing.assert_allclose(features.depths.values[x < 78], 2.5, rtol=1e-5)
    assert not features.depths.known[x > 81].any()
    assert 0 < features.depths.known.sum() < len(features)


def test_depth_images_that_cannot_be_used_are_reported_and_features_come_without(
    start_inside, pixels
):
    camera = DepthCamera(start_inside, pixels)
    good = np.full(pixels.shape, 2.5, np.float32)
    bad = {
        'encoding': image_message(np.zeros((*pixels.shape, 3), np.uint8)),
        'size': image_message(good[::2, ::2]),
        'length': image_message(good),
    }
    bad['length'].data = bad['length'].data[:100]
    for message in bad.values():
        features = camera.features(message)
        assert len(features) > 20
        assert not features.depths.known.any()
    values = camera.system.status('/depth')[2]
    assert {reason: values[f'bad frames: {reason}'] for reason in bad} == dict.fromkeys(bad, '1')
    assert camera.features(image_message(good)).depths.known.any()


def test_images_without_a_depth_image_have_features_without_depth(start_inside, pixels):
    camera = DepthCamera(start_inside, pixels, pair_wait=0.3)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert not camera.features().depths.known.any()
    message = camera.system.status('/image')[1]
    assert message == 'no depths: no depth image of /depth belongs to the images: none arrives'


def test_an_image_without_a_depth_image_waits_no_longer_than_pair_wait(start_inside, pixels):
    camera = DepthCamera(start_inside, pixels, pair_wait=0.3)
    for timer in camera.system.node.timers:
        timer.cancel()  # the check that runs once per second
    for _ in range(2):
        assert not camera.features().depths.known.any()


def test_no_image_waits_for_a_depth_image_after_a_deactivation(start_inside, pixels):
    camera = DepthCamera(start_inside, pixels, pair_wait=0.3)
    node, image = camera.system.node, camera.image
    assert not camera.features().depths.known.any()
    timers = len(list(node.timers))
    camera.system.publish(image, 'image', stamp=camera.stamp + 50)
    camera.system.rest(0.1)
    node.trigger_deactivate()
    assert len(list(node.timers)) == timers - 1
    node.trigger_activate()
    assert not camera.features().depths.known.any()
    camera.system.rest(0.5)
    assert camera.stamp - 50 not in map(milliseconds, camera.system.features['features'])
