# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Images as messages: from a `sensor_msgs/Image` of any common encoding to gray pixels.

Each encoding is one line of a table: the type of a sample, how many a pixel has and where its gray
is to be had. Rows may be padded to any step, samples of 16 and 32 bits may have either byte order.
Colour becomes gray by the weights of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B), 16 bits become 8
by dividing by 257, of YUV the Y is taken as it is, and 32FC1 is taken as 0 (black) to 1 (white).

ROS is not needed: messages that another library read from a recording will do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image


class ImageMessageError(ValueError):
    """
    Say why a message cannot be read as an image.

    `reason` names the kind of fault in one word, for counting: 'encoding', 'size', 'step',
    'length' or 'compression'.
    """

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


class _Layout(NamedTuple):
    """How an encoding stores its pixels."""

    sample: str
    """NumPy's name of a sample's type."""
    samples: int = 1
    """Samples for each pixel of a row."""
    gray: Callable[[np.ndarray], np.ndarray] | None = None
    """From samples (H, W) or (H, W, samples) to gray (H, W); None: they are gray."""
    rows: Callable[[int], int] | None = None
    """Rows of samples in all, of the image's height; None: as many as the height."""


def _colour(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _bayer(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.demosaicing(pixels, code)


def _channel(index: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.ascontiguousarray(pixels[:, :, index])


_LAYOUTS = {
    'mono8': _Layout('u1'),
    '8UC1': _Layout('u1'),
    'mono16': _Layout('u2'),
    '16UC1': _Layout('u2'),
    '32FC1': _Layout('f4'),
    # Y shares its pairs of bytes with U and V: U Y V Y and Y U Y V.
    'yuv422': _Layout('u1', 2, _channel(1)),
    'uyvy': _Layout('u1', 2, _channel(1)),
    'yuv422_yuy2': _Layout('u1', 2, _channel(0)),
    'yuyv': _Layout('u1', 2, _channel(0)),
    # All of Y comes first, then U and V at half (nv24: at full) resolution.
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
        # ROS names a pattern by the first two rows, OpenCV by the second and third pixels of
        # the second and third rows.
        f'bayer_rggb{_bits}': _Layout(_type, 1, _bayer(cv2.COLOR_BayerBG2GRAY)),
        f'bayer_bggr{_bits}': _Layout(_type, 1, _bayer(cv2.COLOR_BayerRG2GRAY)),
        f'bayer_gbrg{_bits}': _Layout(_type, 1, _bayer(cv2.COLOR_BayerGR2GRAY)),
        f'bayer_grbg{_bits}': _Layout(_type, 1, _bayer(cv2.COLOR_BayerGB2GRAY)),
    }

ENCODINGS = tuple(sorted(_LAYOUTS))
"""The encodings that can be read."""

CONVERTED = tuple(
    name for name in ENCODINGS if _LAYOUTS[name].gray or _LAYOUTS[name].sample != 'u1'
)
"""Those whose gray is not there as it is, in bytes of its own."""

Converter = Callable[['Image'], 'np.ndarray | None']


def pixel_bytes(encoding: str) -> int:
    """Return the bytes of a pixel in a row of the image (of its first plane)."""
    layout = _LAYOUTS[encoding]
    return layout.samples * np.dtype(layout.sample).itemsize


def gray_from_message(message: Image, converter: Converter | None = None) -> np.ndarray:
    """
    Return the image as gray, uint8 of shape (H, W).

    For mono8, 8UC1 and the planar nv12, nv21 and nv24 it is a view of the message's data, which
    must then not be changed. `converter` gets each good message whose encoding is one of
    `CONVERTED`; what it returns is the result, unless that is None. Raises ImageMessageError that
    names what is wrong and would be right.
    """
    layout = _LAYOUTS.get(message.encoding)
    if layout is None:
        raise ImageMessageError(
            'encoding',
            f'encoding {message.encoding!r} is unknown; known are {", ".join(ENCODINGS)}',
        )
    samples = _samples(message, layout)
    if converter is not None and message.encoding in CONVERTED:
        converted = converter(message)
        if converted is not None:
            return converted
    gray = samples if layout.gray is None else layout.gray(samples)
    if gray.dtype == np.uint16:
        return cv2.convertScaleAbs(gray, alpha=1 / 257)
    if gray.dtype == np.float32:
        return np.rint(np.nan_to_num(gray, nan=0.0).clip(0, 1) * 255).astype(np.uint8)
    return gray


def gray_from_compressed(message: CompressedImage) -> np.ndarray:
    """
    Return the image of a message of JPEG, PNG or whatever else OpenCV reads as gray uint8 (H, W).

    Raises ImageMessageError where it cannot be read.
    """
    gray = None
    if len(message.data):
        flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            gray = cv2.imdecode(np.frombuffer(message.data, np.uint8), flags)
        except cv2.error:  # an image that says it is larger than OpenCV makes any
            gray = None
    if gray is None:
        raise ImageMessageError(
            'compression',
            f'a compressed image of format {message.format!r} and {len(message.data)} bytes '
            'cannot be decoded; it must be a whole JPEG or PNG',
        )
    return gray


def _samples(message: Image, layout: _Layout) -> np.ndarray:
    """Return the image's samples, (H, W) or (H, W, samples), in this machine's byte order."""
    height, width, step = message.height, message.width, message.step
    what = f'a {message.encoding} image of {width}x{height}'
    if not height or not width:
        raise ImageMessageError('size', f'{what} has no pixels: width and height must be positive')
    sample = np.dtype(('>' if message.is_bigendian else '<') + layout.sample)
    row = width * layout.samples * sample.itemsize
    if step < row:
        raise ImageMessageError('step', f'{what} needs a step of at least {row}; it is {step}')
    rows = layout.rows(height) if layout.rows else height
    needed = (rows - 1) * step + row  # some drivers leave out the last row's padding
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
    # A step that is no multiple of the sample's size puts samples at odd addresses.
    return np.require(samples, sample.newbyteorder('='), ['ALIGNED'])
