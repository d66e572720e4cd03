# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The weights that commands are called with."""

import pytest


@pytest.fixture
def weights(random_weights):
    """Return the path of a file of random weights of a small network, as a word."""
    return str(random_weights)
