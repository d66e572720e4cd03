# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images are converted by cv_bridge if it is usable and correct, else by the package."""

from __future__ import annotations

from array import array
import sys

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed')

from sensor_msgs.msg import Image

from superpoint_ros.data.image_encodings import ENCODINGS, gray_from_message, pixel_bytes
from superpoint_ros.ros.messages import image_messages
from superpoint_ros.ros.messages.image_messages import (
    BRIDGED_ENCODINGS,
    CONVERSION,
    gray_from_image,
    load_cv_bridge,
)


def noise(encoding, width=64, height=48, padding=0):
    """Return an image of noise whose rows are padded by this many bytes."""
    step = width * pixel_bytes(encoding) + padding
    data = np.random.default_rng(0).integers(0, 256, step * height, dtype=np.uint8)
    return Image(
        encoding=encoding, width=width, height=height, step=step, data=array('B', data.tobytes())
    )


@pytest.fixture(scope='module')
def bridge():
    """Return the real cv_bridge; skip if there is none that is usable."""
    bridge, conversion = load_cv_bridge()
    if bridge is None:
        pytest.skip(conversion)
    return bridge


@pytest.mark.parametrize('pixels_of_padding', [0, 1, 5])
@pytest.mark.parametrize('encoding', sorted(BRIDGED_ENCODINGS))
def test_the_real_cv_bridge_and_the_built_in_conversion_agree(bridge, encoding, pixels_of_padding):
    message = noise(encoding, padding=pixels_of_padding * pixel_bytes(encoding))
    expected = bridge.imgmsg_to_cv2(message, 'mono8')
    difference = np.abs(gray_from_message(message).astype(int) - expected)
    assert difference.max() <= 1
    np.testing.assert_array_equal(gray_from_image(message), expected)


def test_padding_of_half_a_pixel_goes_to_the_built_in_conversion(bridge):
    message = noise('bgr8', padding=1)
    shifted = bridge.imgmsg_to_cv2(message, 'mono8').astype(int)
    np.testing.assert_array_equal(gray_from_image(message), gray_from_message(message))
    assert np.abs(shifted - gray_from_image(message)).max() > 50


def test_the_bridged_encodings_are_encodings_of_the_package():
    assert set(ENCODINGS) >= BRIDGED_ENCODINGS
    # Views of the message's data need no conversion.
    assert not {'mono8', '8UC1', 'nv12', 'nv21', 'nv24'} & BRIDGED_ENCODINGS


class Bridge:
    """A cv_bridge that makes all images gray 7, or fails."""

    def __init__(self, error=None):
        self.error, self.encodings = error, []

    def imgmsg_to_cv2(self, message, encoding):
        assert encoding == 'mono8'
        self.encodings.append(message.encoding)
        if self.error:
            raise self.error
        return np.full((message.height, message.width), 7, np.uint8)


@pytest.fixture
def use(monkeypatch):
    """Return a function that replaces cv_bridge for the test."""

    def use(bridge):
        monkeypatch.setattr(image_messages, '_bridge', bridge)
        return bridge

    return use


def test_cv_bridge_gets_the_encodings_that_it_converts_correctly_and_no_others(use):
    bridge = use(Bridge())
    for encoding in ENCODINGS:
        message = noise(encoding)
        message.data *= 3  # the planes of nv24
        gray = gray_from_image(message)
        assert (gray == 7).all() == (encoding in BRIDGED_ENCODINGS), encoding
    assert set(bridge.encodings) == BRIDGED_ENCODINGS


def test_big_endian_images_are_not_given_to_cv_bridge(use):
    bridge = use(Bridge())
    message = noise('bgr8')
    message.is_bigendian = 1
    np.testing.assert_array_equal(gray_from_image(message), gray_from_message(message))
    assert bridge.encodings == []


def test_the_built_in_conversion_takes_over_if_cv_bridge_fails_on_an_image(use):
    bridge = use(Bridge(TypeError('buffer is too small')))
    message = noise('bgr8')
    np.testing.assert_array_equal(gray_from_image(message), gray_from_message(message))
    assert bridge.encodings == ['bgr8']


def test_the_node_converts_by_cv_bridge_and_reports_it(use, start_inside):
    bridge = use(Bridge())
    system = start_inside()
    assert system.answers(noise('bgr8', 160, 120)).width == 0  # all is gray 7
    assert set(bridge.encodings) == {'bgr8'}
    assert system.status('network')[2]['image conversion'] == CONVERSION


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a cv_bridge with this source and compiled module."""

    def install(source, compiled=b'numpy._core._multiarray_umath'):
        (tmp_path / 'cv_bridge' / 'boost').mkdir(parents=True)
        (tmp_path / 'cv_bridge' / '__init__.py').write_text(source)
        if compiled:
            (tmp_path / 'cv_bridge' / 'boost' / 'cv_bridge_boost.so').write_bytes(compiled)
        monkeypatch.syspath_prepend(tmp_path)
        forget()

    def forget():
        for name in [name for name in sys.modules if name.split('.')[0] == 'cv_bridge']:
            del sys.modules[name]

    yield install
    forget()


def test_a_usable_cv_bridge_is_loaded(install):
    install('class CvBridge: pass')
    bridge, conversion = load_cv_bridge()
    assert type(bridge).__name__ == 'CvBridge'
    assert conversion == 'cv_bridge'


def test_a_cv_bridge_for_numpy_1_is_not_imported_with_numpy_2(install, monkeypatch):
    install('import os; os.abort()', compiled=b'numpy.core._multiarray_umath')
    monkeypatch.setattr(np, '__version__', '2.3.1')
    bridge, conversion = load_cv_bridge()
    assert bridge is None
    assert conversion == 'built-in (cv_bridge is compiled for NumPy 1, this is 2.3.1)'


def test_a_cv_bridge_for_numpy_1_is_used_with_numpy_1(install, monkeypatch):
    install('class CvBridge: pass', compiled=b'numpy.core._multiarray_umath')
    monkeypatch.setattr(np, '__version__', '1.26.4')
    assert load_cv_bridge()[1] == 'cv_bridge'


@pytest.mark.parametrize(
    ('source', 'compiled', 'reason'),
    [
        ('raise ImportError("no libopencv_core")', b'numpy._core', 'no libopencv_core'),
        ('CvBridge = None', b'numpy._core', "'NoneType' object is not callable"),
        ('class CvBridge: pass', b'', 'has no compiled module'),
    ],
)
def test_a_broken_cv_bridge_is_named_and_not_used(install, source, compiled, reason):
    install(source, compiled)
    bridge, conversion = load_cv_bridge()
    assert bridge is None
    assert conversion.startswith('built-in (')
    assert reason in conversion


def test_a_missing_cv_bridge_is_named(monkeypatch):
    monkeypatch.setattr(image_messages, 'find_spec', lambda name: None)
    assert load_cv_bridge() == (None, 'built-in (cv_bridge is not installed)')
