# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Conversion of images by cv_bridge, where it is installed and right.

It is tried first, on tiny images of each encoding, beside this package's own conversion; what it
does differently stays with that. It is tried in a process of its own: a cv_bridge that was built
for NumPy 1, as Ubuntu 24.04 has it, ends a program that runs with NumPy 2.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from importlib.util import find_spec
import json
import subprocess
import sys
import threading

import numpy as np
from sensor_msgs.msg import Image

from superpoint_ros.data.image_encodings import CONVERTED, gray_from_message, pixel_bytes

TIMEOUT = 60.0
"""Seconds for the trial, on a machine that is busy starting a robot."""

Form = tuple[str, bool]
"""An encoding, and whether the bytes of a sample stand in big-endian order."""


class CvBridgeConversion:
    """
    Convert images to gray by cv_bridge, as soon as it has proved right for their kind.

    `start` returns at once, the trial goes on in the background. `log` gets one line about its
    result, from another thread. `forms` are those that cv_bridge converts now.
    """

    def __init__(self, log: Callable[[str], None]):
        self._log = log
        self._bridge = None
        self._trial: subprocess.Popen | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self.forms: frozenset[Form] = frozenset()

    def start(self) -> None:
        """Begin the trial, where cv_bridge is installed."""
        if find_spec('cv_bridge') is None:
            self._log('cv_bridge is not installed: images are converted without it')
            return
        threading.Thread(target=self._try, name='cv_bridge', daemon=True).start()

    def stop(self) -> None:
        """End the trial, if it still goes on."""
        with self._lock:
            self._stopped = True
            if self._trial is not None:
                self._trial.kill()

    def gray(self, message: Image) -> np.ndarray | None:
        """
        Return gray pixels, uint8 of shape (H, W), of a message that was checked; else None.

        It is None where cv_bridge is not right for this kind of message, or fails.
        """
        # It takes 1 for big-endian, and any other number for one or the other.
        if message.is_bigendian > 1:
            return None
        if (message.encoding, bool(message.is_bigendian)) not in self.forms:
            return None
        if message.step % pixel_bytes(message.encoding):
            return None  # it takes rows for a whole number of pixels, and shifts them else
        try:
            gray = self._bridge.imgmsg_to_cv2(message, 'mono8')
        except Exception:  # noqa: BLE001 - of many types; there is another way
            return None
        return gray if gray.shape == (message.height, message.width) else None

    def _try(self) -> None:
        """Have another process find the forms, then use them."""
        with self._lock:
            if self._stopped:
                return
            self._trial = subprocess.Popen(
                [sys.executable, '-m', __name__],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        try:
            output, _ = self._trial.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self._trial.kill()
            output, _ = self._trial.communicate()
        if self._stopped:
            return
        try:
            if self._trial.returncode:
                raise ChildProcessError(f'its trial ended with status {self._trial.returncode}')
            forms = frozenset((name, big) for name, big in json.loads(output.splitlines()[-1]))
            from cv_bridge import CvBridge

            self._bridge = CvBridge()
        except Exception as error:  # noqa: BLE001 - importing it can fail in any way
            self._log(f'images are converted without cv_bridge: {error}')
            return
        self.forms = forms
        names = sorted({name for name, _ in forms})
        self._log(f'cv_bridge converts {", ".join(names) or "nothing"}')


def right_forms(convert: Callable[[Image, str], np.ndarray]) -> list[Form]:
    """
    Return the forms that a function such as `CvBridge.imgmsg_to_cv2` converts as this package.

    Rows are tried without padding, and with one of a pixel. Gray may differ by 1, by rounding.
    """
    rng = np.random.default_rng(0)
    forms = []
    for encoding in CONVERTED:
        for is_big in (False, True):
            images = [_tiny(encoding, is_big, padding, rng) for padding in (0, 1)]
            if all(_agrees(convert, image) for image in images):
                forms.append((encoding, is_big))
    return forms


def _tiny(encoding: str, is_big: bool, padding: int, rng: np.random.Generator) -> Image:
    """Return an image of noise with rows that are longer by `padding` pixels."""
    width, height = 6, 4
    step = (width + padding) * pixel_bytes(encoding)
    # The bytes of floats from 0 to 1, which as other samples are as good as any.
    samples = rng.random(step * height // 4 + 1).astype('>f4' if is_big else '<f4')
    data = array('B', samples.tobytes()[: step * height])
    return Image(
        encoding=encoding, width=width, height=height, step=step, is_bigendian=is_big, data=data
    )


def _agrees(convert: Callable[[Image, str], np.ndarray], image: Image) -> bool:
    """Return whether a conversion to mono8 is this package's."""
    expected = gray_from_message(image)
    try:
        gray = np.asarray(convert(image, 'mono8'))
    except Exception:  # noqa: BLE001 - whatever it raises, it does not convert the image
        return False
    if gray.shape != expected.shape or gray.dtype != np.uint8:
        return False
    return bool(np.abs(gray.astype(int) - expected).max() <= 1)


def main() -> int:
    """Write the forms that cv_bridge converts right, as JSON."""
    from cv_bridge import CvBridge

    forms = right_forms(CvBridge().imgmsg_to_cv2)
    sys.stdout.write(json.dumps(forms) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
