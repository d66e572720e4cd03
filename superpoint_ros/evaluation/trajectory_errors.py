# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How far an estimated trajectory is from the true one, by the library evo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_FEWEST = 3


class AlignedTrajectory(NamedTuple):
    """
    An estimated trajectory laid over the true one, and how far it is from it.

    `estimated` (N, 3) are the aligned positions of the frames that have both poses, `position` is
    the root mean square of their distances in metres, and `percent` that in percent of the way.
    """

    estimated: np.ndarray
    position: float
    percent: float


def align_trajectory(
    estimated: Sequence[np.ndarray], truth: Sequence[np.ndarray]
) -> AlignedTrajectory | None:
    """
    Return the estimated poses (4, 4), camera to world, laid over the true ones of the same frames.

    Rotation, translation and scale of the whole are free (Umeyama, PAMI 1991). The result is None
    where fewer than three frames have poses, or where the camera stood still.
    """
    from evo.core import metrics
    from evo.core.geometry import GeometryException
    from evo.core.trajectory import PosePath3D

    if len(estimated) < _FEWEST:
        return None
    ours, true = PosePath3D(poses_se3=list(estimated)), PosePath3D(poses_se3=list(truth))
    try:
        ours.align(true, correct_scale=True)
    except GeometryException:
        return None
    error = metrics.APE(metrics.PoseRelation.translation_part)
    error.process_data((true, ours))
    position = float(error.get_statistic(metrics.StatisticsType.rmse))
    way = true.path_length
    if not way > 0:
        return None
    return AlignedTrajectory(ours.positions_xyz, position, 100 * position / way)
