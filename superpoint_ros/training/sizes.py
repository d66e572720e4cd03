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

"""Training images at other sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from superpoint_ros.network import CELL


def resized(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Return images (B, 1, H, W) at about `factor` of their size, in whole cells."""
    if factor == 1:
        return images
    size = [round(side * factor / CELL) * CELL for side in images.shape[2:]]
    return F.interpolate(images, size, mode='area' if factor < 1 else 'bicubic')
