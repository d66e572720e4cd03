# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Warnings about single images of a recording, in which thousands may have the same fault."""

from __future__ import annotations

from collections import Counter
import logging

from superpoint_ros.common.wording import counted

SHOWN = 5
"""Number of warnings of one kind that are logged."""


class LimitedWarnings:
    """Logger of warnings that shows the first ones of each kind, and counts the others."""

    def __init__(self, log: logging.Logger, source: object):
        self._log, self._source = log, source
        self._counts: Counter[str] = Counter()

    def warn(self, text: str, *values: object) -> None:
        """Log a warning; those with the same `text`, a format for the values, are of one kind."""
        self._counts[text] += 1
        if self._counts[text] <= SHOWN:
            self._log.warning(text, *values)

    def finish(self) -> None:
        """Log how many warnings were not shown, and forget them."""
        hidden = sum(max(count - SHOWN, 0) for count in self._counts.values())
        self._counts.clear()
        if hidden:
            self._log.warning('%s: %s like these', self._source, counted(hidden, 'more warning'))
