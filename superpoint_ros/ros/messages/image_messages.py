# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Image messages: from a message to gray pixels, and from pixels to a message.

cv_bridge converts the encodings that it converts correctly (`BRIDGED_ENCODINGS`) if it is
installed; `superpoint_ros.data.image_encodings` converts all others, and everything if there is no
usable cv_bridge. Both give the same pixels, up to a rounding difference of 1. rclpy is not needed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
import sys

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from superpoint_ros.data.image_encodings import (
    gray_from_compressed,
    gray_from_message,
    pixel_bytes,
)

BRIDGED_ENCODINGS = frozenset(
    [
        *('rgb8', 'bgr8', 'rgba8', 'bgra8', 'yuv422', 'yuv422_yuy2'),
        *('bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg8'),
    ]
)
"""
Encodings that cv_bridge 3.4 converts to mono8 correctly.

It refuses 8UC1, 8UC3, 16UC1, 32FC1, nv12, nv21, nv24, uyvy and yuyv, and divides all samples of 16
bits by 257, also those of sensors that use 10 to 14 bits. It shifts the rows of images whose step
is not a whole number of pixels, and fails on big-endian images with NumPy 2.
"""


def load_cv_bridge() -> tuple[object | None, str]:
    """
    Return a `cv_bridge.CvBridge`, or None, and the name of the conversion for the diagnostics.

    With NumPy 2, importing a cv_bridge that was compiled for NumPy 1, such as that of Ubuntu
    24.04, aborts the process. Therefore the versions are compared before the import.
    """
    spec = find_spec('cv_bridge')
    if spec is None:
        return None, 'built-in (cv_bridge is not installed)'
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    compiled = [path for folder in folders for path in folder.glob('boost/cv_bridge_boost*.so')]
    if not compiled:
        return None, 'built-in (cv_bridge has no compiled module cv_bridge_boost)'
    if int(np.__version__.partition('.')[0]) >= 2 and not any(map(_is_for_numpy_2, compiled)):
        return None, f'built-in (cv_bridge is compiled for NumPy 1, this is {np.__version__})'
    try:
        import cv_bridge

        return cv_bridge.CvBridge(), 'cv_bridge'
    except Exception as error:  # noqa: BLE001 - a broken installation must not stop the node
        return None, f'built-in (cv_bridge cannot be imported: {error})'


def _is_for_numpy_2(extension: Path) -> bool:
    """
    Return whether a compiled extension module works with NumPy 2.

    The macro `import_array` of NumPy 2's headers looks for `numpy._core`; that of NumPy 1
    for `numpy.core` only. The name is a string in the compiled file.
    """
    return b'numpy._core' in extension.read_bytes()


_bridge, CONVERSION = load_cv_bridge()
"""CONVERSION names the conversion in use: cv_bridge, or built-in with the reason."""


def gray_from_image(message: Image | CompressedImage) -> np.ndarray:
    """
    Return the image of a message as gray pixels, uint8 (H, W).

    The result may be a view of the message's data. Raises ImageMessageError, a ValueError, that
    names what is wrong with the message and what would be right.
    """
    if isinstance(message, CompressedImage):
        return gray_from_compressed(message)
    return gray_from_message(message, _gray_by_cv_bridge)


def _gray_by_cv_bridge(message: Image) -> np.ndarray | None:
    """Return the gray pixels of a valid message; None if cv_bridge cannot convert it."""
    is_suitable = (
        _bridge is not None
        and message.encoding in BRIDGED_ENCODINGS
        and not message.is_bigendian
        and sys.byteorder == 'little'
        and message.step % pixel_bytes(message.encoding) == 0
    )
    if not is_suitable:
        return None
    try:
        gray = _bridge.imgmsg_to_cv2(message, 'mono8')
    except Exception:  # noqa: BLE001 - errors of many types; the built-in conversion takes over
        return None
    return gray if gray.shape == (message.height, message.width) else None


def image_message(pixels: np.ndarray, header: Header | None = None) -> Image:
    """
    Return pixels as a message.

    uint8 is gray (H, W) or BGR (H, W, 3): mono8 or bgr8. float32 (H, W) is depth: 32FC1.
    """
    height, width = pixels.shape[:2]
    encoding = 'mono8' if pixels.ndim == 2 else 'bgr8'
    if pixels.dtype == np.float32:
        encoding = '32FC1'
    message = Image(
        header=header or Header(),
        height=height,
        width=width,
        encoding=encoding,
        step=pixels.nbytes // height,
    )
    # Constructor and setter copy data, a NumPy array even byte by byte.
    message.data.frombytes(np.ascontiguousarray(pixels).view(np.uint8))
    return message


def stamp_key(message) -> tuple[int, int]:
    """Return the stamp of a message's header, (seconds, nanoseconds), for comparisons."""
    return message.header.stamp.sec, message.header.stamp.nanosec


def stamp_nanoseconds(message) -> int:
    """Return the stamp of a message's header in nanoseconds."""
    seconds, nanoseconds = stamp_key(message)
    return seconds * 1_000_000_000 + nanoseconds
