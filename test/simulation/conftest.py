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

"""Photographs for the room, made on the spot."""

from __future__ import annotations

import cv2
import numpy as np
import pytest


def blobs(seed, size=(320, 240)):
    """Return smooth random gray, which can be recognised anywhere."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(size[1], size[0])).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture(scope='session')
def photographs():
    return [blobs(seed) for seed in range(3)]
