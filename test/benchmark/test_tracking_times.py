# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The benchmark times tracker and odometry frame by frame, compared with KLT."""

from __future__ import annotations

import pytest

pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from superpoint_ros.benchmark.benchmark_charts import plot_tracking
from superpoint_ros.benchmark.benchmark_tables import tracking_markdown
from superpoint_ros.benchmark.tracking_times import KLT, measure_tracking


def test_tracker_and_odometry_are_timed_relative_to_klt(tmp_path):
    said = []
    result = measure_tracking(8, 200, said.append)
    assert said == ['tracking in 8 frames with 200 keypoints']
    assert result['frames'] == 8
    assert 100 < result['tracks'] < 400
    cases = {case['name']: case for case in result['cases']}
    assert list(cases) == [
        *(KLT, 'depths of a stereo pair', 'tracker without images', 'tracker with images'),
        *('odometry', 'odometry, keyframes', 'refinement of a keyframe (other thread)'),
    ]
    assert cases[KLT]['ratio'] == 1
    for case in cases.values():
        assert 0 < case['time']['p50'] <= case['time']['p99']
        assert case['ratio'] > 0
    table = tracking_markdown(result)
    assert table.startswith('8 frames of the simulated room, up to 200 keypoints, ')
    assert f'| {KLT} |' in table
    plot_tracking(result, tmp_path / 'tracking.png')
    assert (tmp_path / 'tracking.png').stat().st_size > 1000
