# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Saying a thing once in a while."""

from __future__ import annotations

import threading
import time


class Throttle:
    """Tell for each subject whether it is time to speak of it again."""

    def __init__(self, period: float):
        """Let each subject through once in `period` seconds."""
        self._period = period
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def ready(self, subject: str) -> bool:
        """Return whether to speak of the subject now; if so, the next time is a period later."""
        now = time.monotonic()
        with self._lock:
            if now - self._last.get(subject, -self._period) < self._period:
                return False
            self._last[subject] = now
            return True
