# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

import pytest

from superpoint_ros.benchmark.candidates import Execution
from superpoint_ros.benchmark.frame_times import Plan
from superpoint_ros.benchmark.plots import plot_scaling
from superpoint_ros.benchmark.scaling import exponent, line_through, measure_scaling
from superpoint_ros.benchmark.tables import scaling_markdown


@pytest.mark.parametrize('power', [0.5, 1.0, 2.0])
def test_the_exponent_is_the_power_of_the_growth(power):
    sizes = [100, 1000, 5000]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_memory_has_a_constant_part_and_one_for_each_pixel():
    line = line_through([100, 200, 400], [5010, 5020, 5040])
    assert line == {'constant': pytest.approx(5000), 'per_pixel': pytest.approx(0.1)}
    assert line_through([100], [5010]) is None


def test_of_one_size_there_is_no_exponent():
    assert exponent([100, 100], [3, 4]) is None


def test_time_is_measured_against_area_and_keypoints(tiny, tmp_path):
    plan = Plan(
        sizes=[(80, 60), (320, 240)],
        networks=[tiny],
        executions=[Execution('torch')],
        keypoints=200,
        rounds=1,
        memory=False,
    )
    [result] = measure_scaling(plan, lambda text: None, counts=(125, 250))
    small, large = result['areas']
    assert (small['size'], large['size']) == ([80, 60], [320, 240])
    assert small['frame']['p50'] < large['frame']['p50']
    # As many for each pixel.
    assert large['keypoints'] == pytest.approx(50, abs=2)
    assert small['keypoints'] == pytest.approx(3, abs=1)
    assert 0 < result['area_exponent'] < 2
    counts = [each['keypoints'] for each in result['keypoints']]
    assert counts[0] == pytest.approx(125, abs=4)
    assert counts == sorted(counts)
    text = scaling_markdown([result])
    assert f'Time grows with the power {result["area_exponent"]:.2f} of the area.' in text
    pytest.importorskip('matplotlib')
    plot_scaling([result], tmp_path / 'scaling.png')
    assert (tmp_path / 'scaling.png').stat().st_size > 1000
