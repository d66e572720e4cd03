# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Compressed image messages are converted to the gray pixels that they show."""

from __future__ import annotations

from array import array
import struct
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed')

from sensor_msgs.msg import CompressedImage

from superpoint_ros.data.image_encodings import (
    gray_from_compressed,
    ImageMessageError,
    to_8_bits,
)
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.resources import demo_photographs

PHOTOGRAPH = cv2.resize(cv2.imread(str(demo_photographs()[2])), (640, 480))
PHOTOGRAPH_GRAY = cv2.cvtColor(PHOTOGRAPH, cv2.COLOR_BGR2GRAY)


def compressed(pixels, suffix, form):
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix == '.jpg' else []
    data = cv2.imencode(suffix, pixels, options)[1].tobytes()
    return CompressedImage(format=form, data=array('B', data))


def test_an_orientation_in_the_head_of_a_camera_image_is_not_applied():
    message = compressed(PHOTOGRAPH_GRAY, '.jpg', 'mono8; jpeg compressed ')
    expected, data = gray_from_compressed(message), message.data.tobytes()
    exif = struct.pack('<2sHIHHHIHHI', b'II', 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    head = b'\xff\xe1' + struct.pack('>H', len(exif) + 8) + b'Exif\0\0' + exif
    message.data = array('B', data[:2] + head + data[2:])
    np.testing.assert_array_equal(gray_from_compressed(message), expected)


def mosaic(pattern, factor=1):
    """Return the photograph as a sensor with a Bayer pattern sees it."""
    samples = np.zeros(PHOTOGRAPH.shape[:2], np.uint16 if factor > 1 else np.uint8)
    for index, name in enumerate(pattern):
        row, column = divmod(index, 2)
        channel = PHOTOGRAPH[row::2, column::2, 'bgr'.index(name)]
        samples[row::2, column::2] = channel.astype(samples.dtype) * factor
    return samples


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize(
    ('factor', 'suffix', 'form'),
    [
        (1, '.png', 'bayer_{}8; png compressed '),
        (1, '.jpg', 'bayer_{}8; jpeg compressed '),
        (1, '.jpg', 'bayer_{0}8; jpeg compressed bayer_{0}8'),
        (257, '.png', 'bayer_{}16; png compressed '),
    ],
)
def test_a_compressed_bayer_mosaic_is_demosaiced(pattern, factor, suffix, form):
    message = compressed(mosaic(pattern, factor), suffix, form.format(pattern))
    difference = np.abs(gray_from_compressed(message).astype(int) - PHOTOGRAPH_GRAY)
    assert difference.mean() < 3  # that of the raw message is 1.6, that of the mosaic 35


def test_compressed_colour_is_not_taken_as_a_bayer_mosaic():
    for form in ('bayer_rggb8; jpeg compressed bgr8', 'bayer_rggb8; jpeg compressed ', 'jpeg', ''):
        gray = gray_from_compressed(compressed(PHOTOGRAPH, '.jpg', form))
        assert np.abs(gray.astype(int) - PHOTOGRAPH_GRAY).mean() < 2


@pytest.mark.parametrize('factor', [16, 257])
def test_compressed_16_bit_images_are_converted_like_raw_ones(factor):
    samples = PHOTOGRAPH_GRAY.astype(np.uint16) * factor
    gray = gray_from_compressed(compressed(samples, '.png', 'mono16; png compressed '))
    np.testing.assert_array_equal(gray, to_8_bits(samples))


def test_a_compressed_image_whose_head_claims_a_huge_size_is_refused():
    message = compressed(PHOTOGRAPH_GRAY, '.png', 'mono8; png compressed ')
    head = b'IHDR' + (60_000).to_bytes(4, 'big') * 2 + bytes(message.data[24:29])
    data = bytes(message.data[:12]) + head + zlib.crc32(head).to_bytes(4, 'big')
    message.data = array('B', data + bytes(message.data[33:]))
    with pytest.raises(ImageMessageError, match='cannot be decoded; it must be a complete JPEG'):
        gray_from_compressed(message)


@pytest.mark.parametrize('form', ['16UC1; compressedDepth', '32FC1; compressedDepth png'])
def test_a_compressed_depth_image_is_refused(form):
    message = compressed(PHOTOGRAPH_GRAY, '.png', form)
    with pytest.raises(ImageMessageError, match='is a depth image: use the camera image'):
        gray_from_compressed(message)


@pytest.mark.parametrize(
    'fills', [False, True], ids=['this OpenCV', 'an OpenCV that fills with gray']
)
@pytest.mark.parametrize('share', [0.02, 0.5, 0.99])
def test_a_jpeg_that_was_cut_off_is_refused(monkeypatch, tmp_path, fills, share):
    whole = compressed(PHOTOGRAPH, '.jpg', 'jpeg')
    cut_off = CompressedImage(format='jpeg', data=whole.data[: int(share * len(whole.data))])
    (tmp_path / 'cut_off.jpg').write_bytes(cut_off.data.tobytes())
    if fills:
        monkeypatch.setattr(cv2, 'imdecode', lambda data, flags: PHOTOGRAPH_GRAY)
    with pytest.raises(ImageMessageError, match='it must be a complete JPEG or PNG') as refused:
        gray_from_compressed(cut_off)
    assert refused.value.reason == 'compression'
    with pytest.raises(ValueError, match='cut_off.jpg cannot be read as an image'):
        read_image(tmp_path / 'cut_off.jpg')
    assert gray_from_compressed(whole).shape == (480, 640)


def test_the_thumbnail_of_a_photograph_that_was_cut_off_is_not_its_end(monkeypatch):
    whole = compressed(PHOTOGRAPH, '.jpg', 'jpeg').data.tobytes()
    thumbnail = compressed(PHOTOGRAPH[::16, ::16], '.jpg', 'jpeg').data.tobytes()
    head = b'\xff\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    photograph = whole[:2] + head + whole[2:]
    assert gray_from_compressed(CompressedImage(format='jpeg', data=photograph)).any()
    monkeypatch.setattr(cv2, 'imdecode', lambda data, flags: PHOTOGRAPH_GRAY)  # fills with gray
    cut_off = CompressedImage(format='jpeg', data=photograph[: len(photograph) * 2 // 3])
    with pytest.raises(ImageMessageError, match='it must be a complete JPEG or PNG'):
        gray_from_compressed(cut_off)


def test_a_jpeg_with_bytes_after_its_end_is_read():
    # Cameras send buffers of one size.
    message = compressed(PHOTOGRAPH, '.jpg', 'jpeg')
    message.data.extend(array('B', bytes(1000)))
    assert np.abs(gray_from_compressed(message).astype(int) - PHOTOGRAPH_GRAY).mean() < 3
