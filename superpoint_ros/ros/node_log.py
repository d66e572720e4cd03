# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Messages of failures and of Python's `logging` in the log of a node."""

from __future__ import annotations

import logging
import re
import time
import traceback
from typing import TYPE_CHECKING

from superpoint_ros.resources import PACKAGE

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger

REPEAT = 10.0
"""Least number of seconds between two equal warnings."""

_MOST_REASONS = 10  # most warnings of one subject in `REPEAT` seconds


def error_text(error: Exception) -> str:
    """Return the type and the text of an error in one line."""
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


def log_failure(logger: RcutilsLogger, what: str, error: Exception, seconds: float) -> None:
    """
    Log a failure in one line, with a traceback at log level debug.

    Each logger logs at most one failure per `seconds`.
    """
    if logger.error(f'{what}: {error_text(error)}', throttle_duration_sec=seconds):
        logger.debug(''.join(traceback.format_exception(error)))


class ThrottledWarnings:
    """
    Warnings of one subject, each text at most once per `REPEAT` seconds.

    The throttle of rclpy does not distinguish texts: a warning would suppress that of another
    reason. Texts that differ only in numbers, such as a count, are one warning here. Any thread
    may call `warn`.
    """

    def __init__(self, logger: RcutilsLogger):
        self._logger = logger
        self._last: dict[str, float] = {}

    def warn(self, text: str) -> None:
        """Log a warning, unless it was logged lately."""
        now, reason = time.monotonic(), re.sub(r'\d+', '', text)
        # A new dictionary, as another thread may be reading the old one.
        last = {each: when for each, when in self._last.items() if now - when < REPEAT}
        if reason not in last and len(last) < _MOST_REASONS:
            last[reason] = now
            self._logger.warning(text)
        self._last = last


class RosLogHandler(logging.Handler):
    """A handler that passes the messages of information, warnings and errors to a ROS logger."""

    def __init__(self, logger: RcutilsLogger):
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log a message, in one call per severity: rclpy refuses a call that changes it."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def forward_python_log(logger: RcutilsLogger) -> None:
    """Pass all messages of this package's Python loggers to a ROS logger, and no other."""
    ours = logging.getLogger(PACKAGE)
    for handler in [each for each in ours.handlers if isinstance(each, RosLogHandler)]:
        ours.removeHandler(handler)
    ours.addHandler(RosLogHandler(logger))
    ours.setLevel(logging.INFO)
