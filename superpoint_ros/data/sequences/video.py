# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Video files and cameras, as OpenCV reads them."""

from __future__ import annotations

from collections.abc import Iterator
import time

import cv2

from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, Frame


class Video:
    """
    The frames of a video file, or of a camera where `live`.

    `rate` is the file's or the camera's own, in Hz. Raises ValueError where it cannot be opened or
    gives no frame. A camera's frames never end; they end where it is unplugged.
    """

    camera = None  # not known

    def __init__(self, source: str | int, color: bool = False, live: bool = False):
        self._source, self._color, self._live = source, color, live
        capture = self._open()
        reported = capture.get(cv2.CAP_PROP_FPS)
        has_frame, _ = (True, None) if live else capture.read()
        capture.release()
        if not has_frame:
            raise ValueError(f'{source} holds no frame that can be read')
        self.rate = reported if 0 < reported < 1000 else DEFAULT_RATE

    def _open(self) -> cv2.VideoCapture:
        """Return the opened capture."""
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            if self._live:
                raise ValueError(f'no camera answers at {self._source}: try /dev/video0 or 0')
            raise ValueError(f'{self._source} is neither an image nor a video that can be read')
        return capture

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        try:
            index = 0
            while True:
                has_frame, image = capture.read()
                if not has_frame:
                    return
                if not self._color and image.ndim == 3:
                    image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
                stamp = time.time() if self._live else index / self.rate
                yield Frame(image, stamp, f'{index:06d}')
                index += 1
        finally:
            capture.release()
