# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Image messages of every encoding are converted to the gray pixels that they show."""

from __future__ import annotations

from array import array

import cv2
from hypothesis import event, given, HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed')

from sensor_msgs.msg import Image

from superpoint_ros.data.image_encodings import (
    depth_from_message,
    ENCODINGS,
    gray_from_message,
    ImageMessageError,
)
from superpoint_ros.resources import demo_photographs

RED, GREEN, BLUE, ALPHA = 200, 100, 50, 7
GRAY = 0.299 * RED + 0.587 * GREEN + 0.114 * BLUE

COLOURS = {
    'rgb': (RED, GREEN, BLUE),
    'bgr': (BLUE, GREEN, RED),
    'rgba': (RED, GREEN, BLUE, ALPHA),
    'bgra': (BLUE, GREEN, RED, ALPHA),
}
CHANNEL = {'r': RED, 'g': GREEN, 'b': BLUE}


def make_message(samples, encoding, width=None, padding=0, big_endian=False, **fields):
    """Return the message of an array of samples (rows, samples per row), its rows padded."""
    samples = np.asarray(samples)
    order = samples.astype(samples.dtype.newbyteorder('>' if big_endian else '<'))
    rows = order.view(np.uint8).reshape(len(samples), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    values = {
        'height': len(samples),
        'width': samples.shape[1] if width is None else width,
        'encoding': encoding,
        'step': padded.shape[1],
        'is_bigendian': big_endian,
        'data': array('B', padded.tobytes()),
    }
    return Image(**{**values, **fields})


def ramp(height=6, width=11):
    """Return gray pixels with no two equal neighbours."""
    return (np.arange(height * width, dtype=np.uint8) * 3).reshape(height, width)


@pytest.mark.parametrize('padding', [0, 1, 5])
@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_8_bit_gray_messages_are_not_copied(encoding, padding):
    message = make_message(ramp(), encoding, padding=padding)
    gray = gray_from_message(message)
    np.testing.assert_array_equal(gray, ramp())
    assert gray.dtype == np.uint8
    assert np.shares_memory(gray, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('padding', [0, 1, 2, 3, 8])
@pytest.mark.parametrize(
    ('encoding', 'channels', 'dtype', 'white'),
    [
        *((f'{name}8', name, np.uint8, 255) for name in COLOURS),
        *((f'{name}16', name, np.uint16, 65535) for name in COLOURS),
        ('8UC3', 'bgr', np.uint8, 255),
        ('8UC4', 'bgra', np.uint8, 255),
        ('16UC3', 'bgr', np.uint16, 65535),
        ('16UC4', 'bgra', np.uint16, 65535),
        ('32FC3', 'bgr', np.float32, 1),
        ('32FC4', 'bgra', np.float32, 1),
        ('64FC3', 'bgr', np.float64, 1),
        ('64FC4', 'bgra', np.float64, 1),
    ],
)
def test_colour_messages_become_luminance(encoding, channels, dtype, white, padding, big_endian):
    pixels = np.zeros((5, 7, len(channels)), dtype)
    pixels[2, 3] = np.multiply(COLOURS[channels], white / 255)
    message = make_message(pixels.reshape(5, -1), encoding, 7, padding, big_endian)
    expected = np.zeros((5, 7))
    expected[2, 3] = GRAY
    np.testing.assert_allclose(gray_from_message(message), expected, atol=0.6)


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('padding', [0, 1])
@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_16_bit_messages_keep_their_upper_half(encoding, padding, big_endian):
    samples = np.array([[0, 257, 65535], [256 * 128, 300, 127 * 257]], np.uint16)
    message = make_message(samples, encoding, padding=padding, big_endian=big_endian)
    expected = [[0, 1, 255], [128, 1, 127]]
    np.testing.assert_array_equal(gray_from_message(message), expected)


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('padding', [0, 1])
def test_floats_from_0_to_1_are_scaled_and_values_a_little_beyond_are_clipped(padding, big_endian):
    samples = np.array([[0.0, 1.0, 0.5], [-0.3, 1.7, np.nan], [np.inf, -np.inf, 0.2]], np.float32)
    message = make_message(samples, '32FC1', padding=padding, big_endian=big_endian)
    expected = [[0, 255, 128], [0, 255, 0], [255, 0, 51]]
    np.testing.assert_array_equal(gray_from_message(message), expected)


def test_floats_that_begin_far_below_0_get_full_contrast():
    samples = np.linspace(-1, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    gray = gray_from_message(make_message(samples, '32FC1'))
    np.testing.assert_allclose(gray, (samples + 1) * 127.5, atol=1)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_floats_of_which_none_is_finite_are_an_image(value):
    samples = np.full((5, 7), value, np.float32)
    expected = np.full((5, 7), 0 if np.isnan(value) else 255)
    np.testing.assert_array_equal(gray_from_message(make_message(samples, '32FC1')), expected)


PHOTOGRAPH = cv2.resize(cv2.imread(str(demo_photographs()[2]), cv2.IMREAD_GRAYSCALE), (640, 480))


@pytest.mark.parametrize(
    ('encoding', 'samples'),
    [
        ('16UC1', PHOTOGRAPH.astype(np.uint16) * 4),  # 10 bits
        ('mono16', PHOTOGRAPH.astype(np.uint16) * 16),  # 12 bits
        ('mono16', PHOTOGRAPH.astype(np.uint16) * 64),  # 14 bits
        ('16UC1', PHOTOGRAPH.astype(np.uint16) * 4 + 7000),  # thermal: a part of 14 bits
        ('16SC1', PHOTOGRAPH.astype(np.int16) * 100),
        ('32SC1', PHOTOGRAPH.astype(np.int32) * 10_000),
        ('64FC1', PHOTOGRAPH.astype(np.float64)),
        ('32FC1', PHOTOGRAPH.astype(np.float32)),  # 0 to 255
        ('32FC1', PHOTOGRAPH.astype(np.float32) * 0.1 + 280),  # kelvins
    ],
)
def test_images_that_use_a_part_of_their_range_get_full_contrast(encoding, samples):
    samples = samples.copy()
    samples[100, 100], samples[200, 200] = samples.max() * 1.2, 0  # a hot and a dead pixel
    gray = gray_from_message(make_message(samples, encoding)).astype(float)
    low, high = np.percentile(PHOTOGRAPH, (0.1, 99.9))
    expected = ((PHOTOGRAPH - low) / (high - low) * 255).clip(0, 255)
    expected[100, 100], expected[200, 200] = 255, 0
    assert np.abs(gray - expected).max() <= 1.5


@pytest.mark.parametrize('encoding', ['8SC1', '16SC1', '32SC1'])
def test_signed_integers_from_0_to_2_are_not_taken_for_floats_from_0_to_1(encoding):
    kind = {'8': np.int8, '1': np.int16, '3': np.int32}[encoding[0]]
    samples = np.arange(48 * 64).reshape(48, 64) % 3
    gray = gray_from_message(make_message(samples.astype(kind), encoding))
    np.testing.assert_array_equal(gray, np.array([0, 128, 255])[samples])


@pytest.mark.parametrize('encoding', ['8SC3', '16SC3', '32SC3', '8SC4', '16SC4', '32SC4'])
def test_colours_of_signed_integers_are_not_taken_for_floats(encoding):
    kind = {'8': np.int8, '1': np.int16, '3': np.int32}[encoding[0]]
    levels = np.arange(48 * 64).reshape(48, 64) % 3
    samples = np.repeat(levels[..., None], int(encoding[-1]), axis=2).astype(kind)
    gray = gray_from_message(make_message(samples, encoding))
    np.testing.assert_array_equal(gray, np.array([0, 128, 255])[levels])
    limits = np.iinfo(kind)
    extremes = np.where(levels[..., None] > 1, limits.max, limits.min)
    samples = np.repeat(extremes, int(encoding[-1]), axis=2).astype(kind)
    gray = gray_from_message(make_message(samples, encoding))
    np.testing.assert_array_equal(gray, np.where(levels > 1, 255, 0))


def test_16_bit_images_of_few_steps_are_not_stretched_to_noise():
    rng = np.random.default_rng(0)
    samples = (1000 + rng.integers(0, 4, (48, 64))).astype(np.uint16)
    assert np.ptp(gray_from_message(make_message(samples, 'mono16'))) <= 3
    flat = np.full((48, 64), 7000, np.uint16)
    assert np.ptp(gray_from_message(make_message(flat, 'mono16'))) == 0


def test_an_external_converter_is_used_for_valid_messages_that_it_converts():
    called = []

    def converter(message):
        called.append(message.encoding)
        return np.full((6, 11), 7, np.uint8) if message.encoding == '8UC1' else None

    assert (gray_from_message(make_message(ramp(), '8UC1'), converter) == 7).all()
    np.testing.assert_array_equal(
        gray_from_message(make_message(ramp(), 'mono8'), converter), ramp()
    )
    with pytest.raises(ImageMessageError):
        gray_from_message(make_message(ramp(), 'bgr8'), converter)
    assert called == ['8UC1', 'mono8']


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('padding', [0, 3])
def test_bayer_messages_are_demosaiced(pattern, bits, padding):
    tile = np.array([CHANNEL[c] for c in pattern]).reshape(2, 2)
    samples = np.tile(tile, (4, 5)).astype(f'u{bits // 8}') * (257 if bits == 16 else 1)
    message = make_message(samples, f'bayer_{pattern}{bits}', padding=padding)
    gray = gray_from_message(message)
    assert gray.shape == (8, 10)
    np.testing.assert_allclose(gray, np.full((8, 10), GRAY), atol=1)


@pytest.mark.parametrize(
    ('encoding', 'place'), [('yuv422', 1), ('uyvy', 1), ('yuv422_yuy2', 0), ('yuyv', 0)]
)
@pytest.mark.parametrize('padding', [0, 3])
def test_packed_yuv_messages_show_their_luma(encoding, place, padding):
    luma = ramp(4, 6)
    samples = np.full((4, 12), 200, np.uint8)
    samples[:, place::2] = luma
    message = make_message(samples, encoding, width=6, padding=padding)
    np.testing.assert_array_equal(gray_from_message(message), luma)


@pytest.mark.parametrize(('encoding', 'chroma_rows'), [('nv12', 2), ('nv21', 2), ('nv24', 8)])
@pytest.mark.parametrize('padding', [0, 3])
def test_planar_yuv_messages_show_their_luma(encoding, chroma_rows, padding):
    luma = ramp(4, 6)
    samples = np.vstack([luma, np.full((chroma_rows, 6), 200, np.uint8)])
    message = make_message(samples, encoding, padding=padding, height=4)
    np.testing.assert_array_equal(gray_from_message(message), luma)
    message.data = message.data[: 4 * (6 + padding)]
    with pytest.raises(ImageMessageError, match='bytes of data') as error:
        gray_from_message(message)
    assert error.value.reason == 'length'


@pytest.mark.parametrize(
    ('encoding', 'kind', 'unit'),
    [('16UC1', np.uint16, 1000), ('mono16', np.uint16, 1000), ('32FC1', np.float32, 1)],
)
@pytest.mark.parametrize('big_endian', [False, True])
def test_depth_images_are_in_metres(encoding, kind, unit, big_endian):
    metres = np.array([[0.5, 2.0, 0.0], [1.25, 8.0, 40.0]])
    message = make_message((metres * unit).astype(kind), encoding, 3, 2, big_endian)
    np.testing.assert_allclose(depth_from_message(message), metres, rtol=1e-6)


def test_holes_of_depth_images_are_kept():
    holes = np.array([[np.nan, np.inf, 0.0, 1.0]], np.float32)
    np.testing.assert_array_equal(depth_from_message(make_message(holes, '32FC1')), holes)


def test_images_that_are_no_depth_images_are_refused_with_what_would_be_right():
    message = make_message(np.zeros((4, 4), np.uint8), 'mono8')
    with pytest.raises(ImageMessageError, match=r'16UC1 \(millimetres\) or 32FC1 \(metres\)') as e:
        depth_from_message(message)
    assert e.value.reason == 'encoding'


def test_the_last_row_of_an_image_may_lack_its_padding():
    message = make_message(ramp(), 'mono8', padding=5)
    message.data = message.data[:-5]
    np.testing.assert_array_equal(gray_from_message(message), ramp())


@pytest.mark.parametrize(
    ('fields', 'reason', 'text'),
    [
        ({'encoding': 'jpeg'}, 'encoding', r"encoding 'jpeg' is unknown; known are .*mono8"),
        ({'encoding': ''}, 'encoding', "encoding '' is unknown"),
        ({'width': 0}, 'size', 'mono8 image of 0x6 has no pixels'),
        ({'height': 0}, 'size', 'mono8 image of 11x0 has no pixels'),
        ({'step': 10}, 'step', 'needs a step of at least 11; it is 10'),
        ({'step': 0}, 'step', 'needs a step of at least 11; it is 0'),
        ({'encoding': 'rgb8'}, 'step', 'rgb8 image of 11x6 needs a step of at least 33; it is 11'),
        ({'height': 7}, 'length', 'with step 11 needs 77 bytes of data; it has 66'),
        ({'data': array('B')}, 'length', 'needs 66 bytes of data; it has 0'),
        ({'height': 2**32 - 1, 'step': 2**32 - 1}, 'length', 'bytes of data; it has 66'),
    ],
)
def test_an_invalid_image_message_is_named_with_what_would_be_right(fields, reason, text):
    with pytest.raises(ImageMessageError, match=text) as error:
        gray_from_message(make_message(ramp(), **{'encoding': 'mono8', **fields}))
    assert error.value.reason == reason


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    encoding=st.sampled_from(ENCODINGS),
    width=st.integers(0, 40),
    height=st.integers(0, 40),
    step=st.integers(0, 400),
    length=st.integers(0, 20_000),
    big_endian=st.booleans(),
)
def test_any_message_is_an_image_or_a_documented_error(
    encoding, width, height, step, length, big_endian
):
    message = Image(
        encoding=encoding,
        width=width,
        height=height,
        step=step,
        is_bigendian=big_endian,
        data=array('B', bytes(range(256)) * (length // 256 + 1))[:length],
    )
    try:
        gray = gray_from_message(message)
    except ImageMessageError as error:
        reason = error.reason
        event(reason)
    else:
        reason = ''
        assert gray.shape == (height, width)
        assert gray.dtype == np.uint8
    assert reason in ('', 'size', 'step', 'length')
