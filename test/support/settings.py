# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Settings that differ from the defaults, made from their tables."""

from __future__ import annotations

from superpoint_ros.common.settings_table import table_of


def other_settings(kind):
    """Return a group of bool, number and choice settings, none of which has its default."""
    return kind(**{name: _other_value(row) for name, row in table_of(kind).items()})


def _other_value(row):
    if row.type is bool:
        return not row.default
    if row.choices:
        return next(choice for choice in row.choices if choice != row.default)
    return row.type((row.default + row.range[1]) / 2)
