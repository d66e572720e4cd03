# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector with which bags are processed."""

from __future__ import annotations

import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint

CONFIG = SuperPointConfig(stage_channels=(4, 4, 4, 8), head_channels=8, descriptor_size=8)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return SuperPoint(CONFIG).eval()


@pytest.fixture
def detector(model):
    return Detector.from_model(model, device='cpu', threshold=1e-4, max_keypoints=30, nms_radius=2)
