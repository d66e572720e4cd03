# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images go through cv_bridge where it is installed and right, and not where it is not."""

from __future__ import annotations

from array import array
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed')

from sensor_msgs.msg import Image

from superpoint_ros.data.image_encodings import CONVERTED, gray_from_message, pixel_bytes
from superpoint_ros.ros.messages import cv_bridge_conversion
from superpoint_ros.ros.messages.cv_bridge_conversion import CvBridgeConversion, right_forms

EVERYWHERE_RIGHT = [
    *('rgb8', 'bgr8', 'rgba8', 'bgra8', 'rgb16', 'bgr16', 'rgba16', 'bgra16', 'mono16'),
    *('bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg8'),
    *('bayer_rggb16', 'bayer_bggr16', 'bayer_gbrg16', 'bayer_grbg16'),
    *('yuv422', 'yuv422_yuy2'),
]


def noise(encoding, width=64, height=48, padding=0):
    """Return an image of noise whose rows are longer by so many bytes."""
    step = width * pixel_bytes(encoding) + padding
    data = np.random.default_rng(0).integers(0, 256, step * height, dtype=np.uint8)
    return Image(
        encoding=encoding, width=width, height=height, step=step, data=array('B', data.tobytes())
    )


@pytest.fixture(scope='module')
def bridge():
    """Return the real cv_bridge, where there is one that does not end the program."""
    command = [sys.executable, '-m', cv_bridge_conversion.__name__]
    trial = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No module named 'cv_bridge'" in trial.stderr:
        pytest.skip('cv_bridge is not installed')
    if trial.returncode:
        pytest.skip(f'cv_bridge does not run here (status {trial.returncode})')
    from cv_bridge import CvBridge

    return CvBridge()


@pytest.mark.parametrize('pixels_of_padding', [0, 1, 5])
@pytest.mark.parametrize('encoding', EVERYWHERE_RIGHT)
def test_cv_bridge_and_our_conversion_say_the_same(bridge, encoding, pixels_of_padding):
    message = noise(encoding, padding=pixels_of_padding * pixel_bytes(encoding))
    expected = bridge.imgmsg_to_cv2(message, 'mono8')
    difference = np.abs(gray_from_message(message).astype(int) - expected)
    assert difference.max() <= 1


def test_the_trial_finds_what_the_real_cv_bridge_converts(bridge):
    forms = right_forms(bridge.imgmsg_to_cv2)
    assert {name for name, is_big in forms if not is_big} >= set(EVERYWHERE_RIGHT)


def conversion_with(bridge, forms):
    """Return a conversion after its trial, with this result."""
    conversion = CvBridgeConversion(str)
    conversion._bridge, conversion.forms = bridge, frozenset(forms)
    return conversion


def test_where_the_real_cv_bridge_shifts_rows_ours_are_right(bridge):
    conversion = conversion_with(bridge, [('bgr8', False)])
    message = noise('bgr8', padding=1)
    assert conversion.gray(message) is None
    shifted = bridge.imgmsg_to_cv2(message, 'mono8').astype(int)
    assert np.abs(shifted - gray_from_message(message, conversion.gray)).max() > 50


BRIDGE = """
import cv2, numpy as np

class CvBridge:
    calls = []

    def imgmsg_to_cv2(self, message, encoding):
        assert encoding == 'mono8'
        CvBridge.calls.append(message.encoding)
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, -1, 3)
        pixels = pixels[:, :message.width]
        if message.encoding == 'bgr8' and not message.is_bigendian:
            return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        if message.encoding == 'rgb8':
            return pixels[:, :, 0]
        raise TypeError('what is that?')
"""
DEADLY = 'import os, signal; os.kill(os.getpid(), signal.SIGSEGV)'


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a cv_bridge of this source, for the test."""

    def install(source):
        (tmp_path / 'cv_bridge').mkdir()
        (tmp_path / 'cv_bridge' / '__init__.py').write_text(source)
        monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=':')
        monkeypatch.syspath_prepend(tmp_path)
        for name in [name for name in sys.modules if name.split('.')[0] == 'cv_bridge']:
            monkeypatch.delitem(sys.modules, name)

    yield install
    for name in [name for name in sys.modules if name.split('.')[0] == 'cv_bridge']:
        del sys.modules[name]


def after_trial(said):
    """Return a conversion whose trial has ended with a line in the log that has this text."""
    lines = []
    conversion = CvBridgeConversion(lines.append)
    conversion.start()
    end = time.monotonic() + 60
    while not lines and time.monotonic() < end:
        time.sleep(0.02)
    assert said in lines[0]
    return conversion


def test_a_cv_bridge_is_used_for_what_it_converts_right_alone(install):
    install(BRIDGE)
    conversion = after_trial('cv_bridge converts bgr8')
    assert conversion.forms == {('bgr8', False)}
    from cv_bridge import CvBridge

    right, wrong, bad = noise('bgr8'), noise('rgb8'), noise('bgra8')
    for message in (right, wrong, bad):
        gray = gray_from_message(message, conversion.gray)
        np.testing.assert_array_equal(gray, gray_from_message(message))
    assert CvBridge.calls == ['bgr8']
    right.is_bigendian = 1
    assert conversion.gray(right) is None


def test_the_node_converts_by_it(install, start_inside):
    install(BRIDGE)
    system = start_inside()
    message = noise('bgr8', 160, 120)
    assert system.answers(message).width > 20
    system.wait_until(lambda: system.node._conversion.forms)
    from cv_bridge import CvBridge

    CvBridge.calls.clear()
    without, converted = system.features['features'][-1], system.answers(message, count=2)
    assert CvBridge.calls
    assert converted.data == without.data


def test_where_a_cv_bridge_fails_on_a_frame_our_conversion_steps_in(install):
    install(BRIDGE)
    conversion = after_trial('cv_bridge converts bgr8')
    message = noise('bgr8', padding=3)
    del message.data[-3:]  # some drivers leave out the last padding
    gray = gray_from_message(message, conversion.gray)
    np.testing.assert_array_equal(gray, gray_from_message(message))


def test_gray_images_need_no_conversion(install):
    assert not {'mono8', '8UC1', 'nv12', 'nv21', 'nv24'} & set(CONVERTED)
    message = noise('mono8')

    def never(message):
        raise AssertionError(message.encoding)

    assert np.shares_memory(gray_from_message(message, never), np.asarray(message.data))


@pytest.mark.parametrize(
    ('source', 'said'),
    [
        (DEADLY, 'converted without cv_bridge: its trial ended with status -11'),
        ('raise ImportError("numpy")', 'converted without cv_bridge: its trial ended with status'),
        ('CvBridge = None', 'converted without cv_bridge: its trial ended with status'),
    ],
)
def test_a_cv_bridge_that_is_broken_breaks_nothing(install, source, said):
    install(source)
    conversion = after_trial(said)
    assert conversion.gray(noise('bgr8')) is None


def test_without_cv_bridge_that_is_said(monkeypatch):
    monkeypatch.setattr(cv_bridge_conversion, 'find_spec', lambda name: None)
    assert after_trial('cv_bridge is not installed').forms == frozenset()


def test_a_trial_that_hangs_ends_with_the_node(install):
    install('import time; time.sleep(1000)')
    conversion = CvBridgeConversion(str)
    conversion.start()
    end = time.monotonic() + 10
    while conversion._trial is None and time.monotonic() < end:
        time.sleep(0.01)
    conversion.stop()
    assert conversion._trial.wait(10) < 0
