# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Log messages of failures that do not end a node."""

from __future__ import annotations

import traceback

from rclpy.impl.rcutils_logger import RcutilsLogger


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
