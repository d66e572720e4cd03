# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Video files and cameras, read by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
import time

import cv2

from superpoint_ros.common.file_reading import check_utf8
from superpoint_ros.data.sequences.image_files import convert_color
from superpoint_ros.data.sequences.sequence import Frame, FrameSequence, plausible_rate


class Video(FrameSequence):
    """
    Frames of a video file or, with `live`, of a camera.

    `rate` is what the file or the camera reports, in Hz: the mean of a file whose frames have
    uneven times. The frames of a camera end if it is unplugged. Raises ValueError if the source
    cannot be opened or has no frame.
    """

    has_truth = False

    def __init__(self, source: str | int, color: bool = False, live: bool = False):
        self._source, self._color, self._live = source, color, live
        capture = self._open()
        reported = capture.get(cv2.CAP_PROP_FPS)
        has_frame, _ = (True, None) if live else capture.read()
        capture.release()
        if not has_frame:
            raise ValueError(f'{source} has no frame that can be read')
        self.rate = plausible_rate(reported)

    def _open(self) -> cv2.VideoCapture:
        """Return the opened capture."""
        if isinstance(self._source, str):
            check_utf8(Path(self._source), 'OpenCV')
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            if self._live:
                raise ValueError(f'cannot open a camera at {self._source}: try /dev/video0 or 0')
            raise ValueError(f'{self._source} is neither an image nor a video that can be read')
        return capture

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        try:
            start = stamp = 0.0
            for index in count():
                has_frame, image = capture.read()
                if not has_frame:
                    return
                position = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if self._live:
                    stamp = time.time()
                elif not index:
                    start = position
                else:  # not all formats give positions
                    known = position - start > stamp
                    stamp = position - start if known else stamp + 1 / self.rate
                yield Frame(convert_color(image, self._color), stamp, f'{index:06d}')
        finally:
            capture.release()
