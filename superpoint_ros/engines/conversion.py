# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""NumPy arrays and tensors: an engine on a CPU returns the kind that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from superpoint_ros.model.config import SuperPointOutput

if TYPE_CHECKING:
    import torch


def as_array(images: np.ndarray | torch.Tensor) -> np.ndarray:
    """Return images as a contiguous array, without a copy if possible."""
    if isinstance(images, np.ndarray):
        return np.ascontiguousarray(images)
    return images.contiguous().numpy()


def like_images(
    images: np.ndarray | torch.Tensor, outputs: Sequence[np.ndarray]
) -> SuperPointOutput:
    """Return logits and descriptors (B, h, w, C) as (B, C, h, w), tensors if images are one."""
    turned = [each.transpose(0, 3, 1, 2) for each in outputs]
    if not isinstance(images, np.ndarray):
        import torch

        turned = [torch.from_numpy(each) for each in turned]
    return SuperPointOutput(*turned)
