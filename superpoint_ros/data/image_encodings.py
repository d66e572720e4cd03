# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Conversion of image messages of all common encodings to gray pixels.

A table has one line for each encoding: the type of a sample, the samples of a pixel and the
conversion to gray. Rows may be padded to any step; samples of 16 and 32 bits may have either byte
order. Colour becomes gray with the weights of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B); of YUV
images Y is used. `to_8_bits` describes how samples of 16 bits and floats become 8 bits.

ROS is not needed: messages that another library read from a recording have the same fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

from superpoint_ros.common.wording import counted

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image


class ImageMessageError(ValueError):
    """
    Error of a message that cannot be read as an image.

    `reason` is the kind of fault in one word, for statistics: 'encoding', 'size', 'step', 'length'
    or 'compression'.
    """

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


class _Layout(NamedTuple):
    """Layout of the pixels of an encoding."""

    sample: str
    """NumPy's name of a sample's type."""
    samples: int = 1
    """Samples of one pixel in a row."""
    gray: Callable[[np.ndarray], np.ndarray] | None = None
    """Conversion of samples (H, W) or (H, W, samples) to gray (H, W); None if they are gray."""
    rows: Callable[[int], int] | None = None
    """Number of rows of samples for an image height; None if it is the height."""


def gray_from_color(pixels: np.ndarray, code: int = cv2.COLOR_BGR2GRAY) -> np.ndarray:
    """
    Return pixels (H, W, 3) or (H, W, 4) of any type as gray (H, W); `code` is that of OpenCV.

    Integers keep their type, floats become float32.
    """
    if pixels.dtype in (np.uint8, np.uint16):  # OpenCV converts no other integers
        return cv2.cvtColor(pixels, code)
    gray = cv2.cvtColor(_as_float32(pixels), code)
    if pixels.dtype.kind == 'f':
        return gray
    limits = np.iinfo(pixels.dtype)
    return np.rint(gray.astype(np.float64)).clip(limits.min, limits.max).astype(pixels.dtype)


def _colour(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: gray_from_color(pixels, code)


def _as_float32(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels as float32; values that are too large become infinite."""
    with np.errstate(over='ignore', invalid='ignore'):
        return pixels.astype(np.float32, copy=False)


def _bayer(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.demosaicing(pixels, code)


def _channel(index: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.ascontiguousarray(pixels[:, :, index])


_LAYOUTS = {
    'mono8': _Layout('u1'),
    'mono16': _Layout('u2'),
    # Y alternates with U and V: U Y V Y or Y U Y V.
    'yuv422': _Layout('u1', 2, _channel(1)),
    'uyvy': _Layout('u1', 2, _channel(1)),
    'yuv422_yuy2': _Layout('u1', 2, _channel(0)),
    'yuyv': _Layout('u1', 2, _channel(0)),
    # The plane of Y comes first, then U and V at half (nv24: full) resolution.
    'nv12': _Layout('u1', rows=lambda height: height + (height + 1) // 2),
    'nv21': _Layout('u1', rows=lambda height: height + (height + 1) // 2),
    'nv24': _Layout('u1', rows=lambda height: 3 * height),
}
for _bits, _type in ((8, 'u1'), (16, 'u2')):
    _LAYOUTS |= {
        f'rgb{_bits}': _Layout(_type, 3, _colour(cv2.COLOR_RGB2GRAY)),
        f'bgr{_bits}': _Layout(_type, 3, _colour(cv2.COLOR_BGR2GRAY)),
        f'rgba{_bits}': _Layout(_type, 4, _colour(cv2.COLOR_RGBA2GRAY)),
        f'bgra{_bits}': _Layout(_type, 4, _colour(cv2.COLOR_BGRA2GRAY)),
        # ROS names a pattern by its first two rows, OpenCV by the second and third pixels of the
        # second and third rows.
        f'bayer_rggb{_bits}': _Layout(_type, 1, _bayer(cv2.COLOR_BayerBG2GRAY)),
        f'bayer_bggr{_bits}': _Layout(_type, 1, _bayer(cv2.COLOR_BayerRG2GRAY)),
        f'bayer_gbrg{_bits}': _Layout(_type, 1, _bayer(cv2.COLOR_BayerGR2GRAY)),
        f'bayer_grbg{_bits}': _Layout(_type, 1, _bayer(cv2.COLOR_BayerGB2GRAY)),
    }
_OPENCV_TYPES = {
    '8U': 'u1',
    '8S': 'i1',
    '16U': 'u2',
    '16S': 'i2',
    '32S': 'i4',
    '32F': 'f4',
    '64F': 'f8',
}
for _depth, _type in _OPENCV_TYPES.items():
    # OpenCV's names of types leave the order of the channels open; its own order is BGR.
    _LAYOUTS |= {
        f'{_depth}C1': _Layout(_type),
        f'{_depth}C3': _Layout(_type, 3, _colour(cv2.COLOR_BGR2GRAY)),
        f'{_depth}C4': _Layout(_type, 4, _colour(cv2.COLOR_BGRA2GRAY)),
    }

ENCODINGS = tuple(sorted(_LAYOUTS))
"""Encodings that can be read."""

_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
"""Markers of JPEG. The pixels do not contain the second one."""
_SCAN = b'\xda'
"""Second byte of the marker of the pixels."""

Converter = Callable[['Image'], 'np.ndarray | None']


def pixel_bytes(encoding: str) -> int:
    """Return the number of bytes of a pixel in a row of the image (of its first plane)."""
    layout = _LAYOUTS[encoding]
    return layout.samples * np.dtype(layout.sample).itemsize


def gray_from_message(message: Image, converter: Converter | None = None) -> np.ndarray:
    """
    Return the image as gray pixels, uint8 (H, W).

    For mono8, 8UC1 and the planar nv12, nv21 and nv24 this is a view of the message's data, which
    must not be modified afterwards. `converter` is called with each valid message; its result is
    returned unless it is None. Raises ImageMessageError that names what is wrong and what would be
    right.
    """
    layout = _LAYOUTS.get(message.encoding)
    if layout is None:
        raise ImageMessageError(
            'encoding',
            f'encoding {message.encoding!r} is unknown; known are {", ".join(ENCODINGS)}',
        )
    samples = _samples(message, layout)
    converted = converter(message) if converter is not None else None
    if converted is not None:
        return converted
    return to_8_bits(samples if layout.gray is None else layout.gray(samples))


_METRES = {'16UC1': 0.001, 'mono16': 0.001, '32FC1': 1.0}
"""Metres of a unit of depth images, by encoding (REP 118)."""


def depth_from_message(message: Image) -> np.ndarray:
    """
    Return a depth image in metres, float32 (H, W).

    16UC1 and mono16 are millimetres, 32FC1 is metres; holes are 0 or NaN, as in the message.
    Raises ImageMessageError that names what is wrong and what would be right.
    """
    if message.encoding not in _METRES:
        raise ImageMessageError(
            'encoding',
            'a depth image must have the encoding 16UC1 (millimetres) or 32FC1 (metres); '
            f'got {message.encoding!r}',
        )
    samples = _samples(message, _LAYOUTS[message.encoding])
    return samples.astype(np.float32) * np.float32(_METRES[message.encoding])


def gray_from_compressed(message: CompressedImage) -> np.ndarray:
    """
    Return the image of a message with JPEG, PNG or another format of OpenCV, gray uint8 (H, W).

    The format as written by image_transport, such as 'bayer_rggb8; png compressed ', shows whether
    the pixels are a Bayer mosaic. Raises ImageMessageError if the image cannot be decoded or is a
    depth image of compressed_depth_image_transport.
    """
    encoding, _, rest = message.format.partition(';')
    words = rest.split()  # such as 'jpeg compressed bgr8'; the last word is the encoding in it
    if 'compressedDepth' in words:
        raise ImageMessageError(
            'compression', f'format {message.format!r} is a depth image: use the camera image'
        )
    layout = _LAYOUTS.get(encoding.strip())
    is_mosaic = encoding.strip().startswith('bayer_') and (
        not words or words[-1] == 'compressed' or words[-1].startswith('bayer_')
    )
    flags = cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_ANYDEPTH
    flags |= cv2.IMREAD_ANYCOLOR if is_mosaic else cv2.IMREAD_GRAYSCALE
    try:
        pixels = decode_image(np.frombuffer(message.data, np.uint8), flags)
    except cv2.error:  # the header claims a size that OpenCV refuses
        pixels = None
    if pixels is None:
        raise ImageMessageError(
            'compression',
            f'a compressed image of {counted(len(message.data), "byte")} and format '
            f'{message.format!r} cannot be decoded; it must be a complete JPEG or PNG',
        )
    if is_mosaic and pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    elif is_mosaic and layout is not None and pixels.dtype.kind == 'u':
        pixels = layout.gray(pixels)
    return to_8_bits(pixels)


def decode_image(data: np.ndarray, flags: int) -> np.ndarray | None:
    """
    Return the image in the bytes of a file, uint8 (N,), as `cv2.imdecode`; None if it is damaged.

    That includes JPEG files that were cut off, in which OpenCV 4.6 (of Ubuntu 24.04) fills the
    lower part with gray. Raises cv2.error if the header has an absurd size.
    """
    content = data.tobytes() if data[:2].tobytes() == _JPEG_START else b''
    if not data.size or (content and _is_cut_off(content)):
        return None
    return cv2.imdecode(data, flags)


def _is_cut_off(content: bytes) -> bool:
    """Return whether a JPEG file has no end after its pixels; a thumbnail in its head has one."""
    place = len(_JPEG_START)
    while content[place : place + 1] == b'\xff' and content[place + 1 : place + 2] != _SCAN:
        # A segment of the head with its length, after any number of bytes 0xff.
        is_filler = content[place + 1 : place + 2] == b'\xff'
        place += 1 if is_filler else 2 + int.from_bytes(content[place + 2 : place + 4], 'big')
    return content.find(_JPEG_END, place) < 0


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """
    Return the pixels as uint8 of the same shape; uint8 pixels are returned unchanged.

    - 16 bits, of which all are used (over 0.1 % of the pixels are 2^14 or more): divided by 257.
    - 16 bits with smaller values, as of sensors of 10 to 14 bits: the 0.1 % darkest pixels become
      black and the 0.1 % brightest white, as thermal cameras use a small part of their range. The
      contrast is increased to at most one gray level for each step of the sensor.
    - Floats from 0 to 1: multiplied by 255. The limits are -0.5 and 2, so that interpolation and
      noise beyond 0 and 1 are clipped.
    - Other floats, and signed integers: the same percentiles as above become black and white. NaN
      becomes black.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return _from_16_bits(pixels)
    is_float = pixels.dtype.kind == 'f'
    pixels = _as_float32(pixels)
    finite = pixels[np.isfinite(pixels)]
    low, high = np.percentile(finite, (_DARKEST, 100 - _DARKEST)) if finite.size else (0.0, 1.0)
    if is_float and low >= -0.5 and high <= 2:
        low, high = 0.0, 1.0
    shown = np.nan_to_num(pixels, nan=low).astype(np.float64)
    return np.rint(((shown - low) / max(high - low, 1e-12)).clip(0, 1) * 255).astype(np.uint8)


_DARKEST = 0.1
"""
Percentage of the pixels that become black, and white.

It is above the share of hot and dead pixels of sensors, and far below what an object covers.
"""


def _from_16_bits(pixels: np.ndarray) -> np.ndarray:
    """Return 16-bit pixels as `to_8_bits` describes."""
    values = np.arange(1 << 16)
    count = np.cumsum(np.bincount(pixels.ravel(), minlength=len(values)))
    low, high = np.searchsorted(count, pixels.size * np.array([_DARKEST, 100 - _DARKEST]) / 100)
    if high >= 1 << 14:
        return cv2.convertScaleAbs(pixels, alpha=1 / 257)
    gray = (values - low) * (255 / max(high - low, 255))
    return np.rint(gray.clip(0, 255)).astype(np.uint8)[pixels]


def _samples(message: Image, layout: _Layout) -> np.ndarray:
    """Return the image's samples, (H, W) or (H, W, samples), in the byte order of the machine."""
    height, width, step = message.height, message.width, message.step
    what = f'a {message.encoding} image of {width}x{height}'
    if not height or not width:
        raise ImageMessageError('size', f'{what} has no pixels: width and height must be positive')
    sample = np.dtype(('>' if message.is_bigendian else '<') + layout.sample)
    row = width * layout.samples * sample.itemsize
    if step < row:
        raise ImageMessageError('step', f'{what} needs a step of at least {row}; it is {step}')
    rows = layout.rows(height) if layout.rows else height
    needed = (rows - 1) * step + row  # some drivers omit the padding of the last row
    if len(message.data) < needed:
        raise ImageMessageError(
            'length',
            f'{what} with step {step} needs {rows * step} bytes of data; it has '
            f'{len(message.data)}',
        )
    shape, strides = (height, width), (step, layout.samples * sample.itemsize)
    if layout.samples > 1:
        shape, strides = (*shape, layout.samples), (*strides, sample.itemsize)
    samples = np.ndarray(shape, sample, message.data, strides=strides)
    if sample.itemsize == 1:
        return samples
    # A step that is not a multiple of the sample size gives unaligned samples.
    return np.require(samples, sample.newbyteorder('='), ['ALIGNED'])
