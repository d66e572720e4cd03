# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from support import bags


@pytest.fixture
def write_bag(tmp_path):
    """Return a function that writes a bag (see `support.bags.write_bag`) and returns its path."""
    pytest.importorskip('rosbags.rosbag2', reason='needs the library rosbags')

    def write(messages, name='bag', storage='mcap'):
        return bags.write_bag(tmp_path / name, messages, storage)

    return write
