# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Settings whose numbers lie in ranges: one check, and one wording of what is wrong."""

from __future__ import annotations

from dataclasses import fields


def check_ranges(settings) -> None:
    """
    Raise TypeError or ValueError where a number of the settings is not in its range.

    `settings` is a dataclass whose `RANGES` gives (lowest, highest) by name. Where the default is
    a whole number, so must be the value.
    """
    defaults = {field.name: field.default for field in fields(settings)}
    for name, (low, high) in settings.RANGES.items():
        value, whole = getattr(settings, name), isinstance(defaults[name], int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            kind = 'a whole number' if whole else 'a number'
            raise TypeError(f'{name} must be {kind} from {low} to {high}, got {value!r}')
        if not low <= value <= high:
            raise ValueError(f'{name} must lie between {low} and {high}, got {value}')
