# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate odometry --rerun` records frames, trajectories and maps."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rerun', reason='rerun-sdk is not installed')
pytest.importorskip('evo', reason='evo is not installed')

from superpoint_ros.cli.main import main
from superpoint_ros.resources import demo_photographs
from superpoint_ros.simulation.room import SimulatedRoom
from support.rerun_files import read_recording

FRAMES, RATE = 12, 5


def test_an_evaluation_is_recorded_with_aligned_trajectories_and_maps(tmp_path):
    command = f'evaluate odometry --seeds 3 --frames {FRAMES} --rate {RATE} --noise 0 --gaps 2 '
    command += f'--methods klt --max-keypoints 300 --out {tmp_path} --rerun {tmp_path}/a.rrd'
    assert main(command.split()) == 0
    rows = read_recording(tmp_path / 'a.rrd')
    image = 'room_3/world/camera/image'
    assert [row['frame'] for row in rows[image] if 'blob' in row] == list(range(FRAMES))
    assert len(rows[f'{image}/keypoints/SuperPoint']) == FRAMES
    assert len(rows[f'{image}/tracks/Shi-Tomasi_KLT']) == FRAMES
    # KLT has no keypoints with scores.
    assert f'{image}/keypoints/Shi-Tomasi_KLT' not in rows
    room = SimulatedRoom(demo_photographs(), seed=3, rate=RATE)
    truth = np.array([room.pose(number / RATE)[:3, 3] for number in range(FRAMES)])
    recorded = rows['room_3/world/truth/trajectory'][-1]['strips'][0]
    np.testing.assert_allclose(recorded, truth, atol=1e-5)
    path = np.linalg.norm(np.diff(truth, axis=0), axis=1).sum()
    for method in ('SuperPoint', 'Shi-Tomasi_KLT'):
        estimated = np.array(rows[f'room_3/world/{method}/trajectory'][-1]['strips'][0])
        assert 5 <= len(estimated) <= FRAMES
        errors = np.linalg.norm(estimated - truth[-len(estimated) :], axis=1)
        assert errors.max() < 0.05 * path
        points = np.array(rows[f'room_3/world/{method}/map'][-1]['positions'])
        assert len(points) > 50
        # The room is 8 m long: points of its walls and furniture, in its frame.
        assert np.median(np.linalg.norm(points - truth[-1], axis=1)) < 8
