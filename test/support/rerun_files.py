# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Files of Rerun read back."""

from __future__ import annotations

from collections import defaultdict

import pytest

pytest.importorskip('rerun', reason='rerun-sdk is not installed')


def read_recording(path):
    """
    Return the rows of a .rrd file by entity, in the order in which they were logged.

    A row has the value of each timeline and component that it has, by the last word of its name,
    such as `frame` or `positions`.
    """
    from rerun.chunk import RrdReader

    rows = defaultdict(list)
    for chunk in RrdReader(path).stream():
        for row in chunk.to_record_batch().to_pylist():
            short = {name.rpartition(':')[2]: value for name, value in row.items()}
            # Rows of a batch lack what only others of it have.
            known = {name: value for name, value in short.items() if value is not None}
            rows[chunk.entity_path.strip('/')].append(known)
    return dict(rows)
