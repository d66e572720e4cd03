# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Synthetic photographs for the room."""

from __future__ import annotations

import pytest

from support.noise_pictures import noise_picture


@pytest.fixture(scope='session')
def photographs():
    return [noise_picture(seed, (320, 240), (4,)) for seed in range(3)]
