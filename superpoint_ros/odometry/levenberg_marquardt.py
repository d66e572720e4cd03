# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""When the iterations of Levenberg-Marquardt take a step, how they damp the next, and end."""

from __future__ import annotations

from superpoint_ros.common.compiled import inlined

FIRST_DAMPING = 1e-4
"""Factor of the diagonal that is added to it in the first iteration."""

LEAST_GAIN = 1e-3
"""Relative decrease of the cost below which iterations end."""

_LEAST_DAMPING, _MOST_DAMPING = 1e-9, 1e3


@inlined
def judge_step(cost, new_cost, damping, least_gain):
    """
    Return whether a step from one cost to another is taken, the next damping, and whether to end.

    Iterations end after a decrease of less than the share `least_gain`, and when the damping is so
    large that no step is left to try.
    """
    if not new_cost < cost:
        damping *= 10
        return False, damping, damping > _MOST_DAMPING
    return True, max(damping / 5, _LEAST_DAMPING), cost - new_cost < least_gain * cost
