# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Weight files of small networks with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata

SMALL = SuperPointConfig((4, 4, 8, 8), head_channels=8, descriptor_size=16)


def write_weights(
    path: Path, seed: int = 0, config: SuperPointConfig = SMALL, strong: bool = False
) -> Path:
    """
    Write the weights of a random network, and return the path.

    With `strong` weights, the probabilities of the pixels differ.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SuperPoint(config)
        for name, parameter in model.named_parameters():
            if strong and name.endswith('weight'):
                torch.nn.init.kaiming_normal_(parameter)
    save_weights(path, model, WeightsMetadata(recipe='random'))
    return path
