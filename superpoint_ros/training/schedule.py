# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The optimizer and the course of its learning rate."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def learning_rate_factor(step: int, max_steps: int, warm_up: float, decay: float) -> float:
    """
    Return by what the highest learning rate is multiplied in a step, counted from 0.

    It rises linearly over the first ``warm_up`` share of the steps, stays 1, and falls linearly
    to 0 at ``max_steps`` over the last ``decay`` share.
    """
    rise = (step + 1) / max(warm_up * max_steps, 1)
    fall = (max_steps - step) / max(decay * max_steps, 1)
    return max(0.0, min(1.0, rise, fall))


def optimizer_and_schedule(model: nn.Module, recipe) -> dict:
    """
    Return AdamW over the network and its schedule, in the form that Lightning takes.

    ``recipe`` has learning_rate, beta1, beta2, weight_decay, max_steps, warm_up and decay. Only
    the weights of convolutions decay, not biases and batch norms.
    """
    used = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {'params': [p for p in used if p.ndim > 1], 'weight_decay': recipe.weight_decay},
            {'params': [p for p in used if p.ndim <= 1], 'weight_decay': 0.0},
        ],
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
    )

    def factor(step: int) -> float:
        return learning_rate_factor(step, recipe.max_steps, recipe.warm_up, recipe.decay)

    return {
        'optimizer': optimizer,
        'lr_scheduler': {'scheduler': LambdaLR(optimizer, factor), 'interval': 'step'},
    }
