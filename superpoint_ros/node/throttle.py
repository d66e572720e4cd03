# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

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
