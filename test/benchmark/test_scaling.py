# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How time and memory grow with the size of frames."""

import pytest

pytest.importorskip('matplotlib', reason='matplotlib is not installed')
pytest.importorskip('psutil', reason='psutil is not installed')

from superpoint_ros.benchmark.benchmark_charts import plot_scaling
from superpoint_ros.benchmark.benchmark_tables import scaling_markdown
from superpoint_ros.benchmark.candidates import Execution
from superpoint_ros.benchmark.frame_times import SpeedPlan
from superpoint_ros.benchmark.scaling import exponent, line_through, measure_scaling


@pytest.mark.parametrize('power', [0.5, 1.0, 2.0])
def test_scaling_exponent_is_the_power_of_the_growth(power):
    sizes = [100, 1000, 5000]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_memory_line_has_a_constant_and_bytes_per_pixel():
    line = line_through([100, 200, 400], [5010, 5020, 5040])
    assert line == {'constant': pytest.approx(5000), 'per_pixel': pytest.approx(0.1)}
    assert line_through([100], [5010]) is None


def test_scaling_exponent_of_one_size_is_unknown():
    assert exponent([100, 100], [3, 4]) is None


def test_scaling_measures_time_by_area_and_by_keypoints(tiny, tmp_path):
    plan = SpeedPlan(
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
    # Keypoints per pixel are constant.
    assert large['keypoints'] == pytest.approx(50, abs=2)
    assert small['keypoints'] == pytest.approx(3, abs=1)
    times = [each['frame']['p50'] for each in result['areas']]
    assert min(times) > 0
    assert result['area_exponent'] == exponent([80 * 60, 320 * 240], times)
    counts = [each['keypoints'] for each in result['keypoints']]
    assert counts[0] == pytest.approx(125, abs=4)
    assert counts == sorted(counts)
    text = scaling_markdown([result])
    assert f'Time grows with the power {result["area_exponent"]:.2f} of the area.' in text
    plot_scaling([result], tmp_path / 'scaling.png')
    assert (tmp_path / 'scaling.png').stat().st_size > 1000
    with_memory = {
        **result,
        'areas': [{**each, 'memory': {'frame': 5e6}} for each in result['areas']],
        'memory_exponent': 0.5,
        'memory_line': {'constant': 4e6, 'per_pixel': 12.3},
        'largest_bytes_per_pixel': 65.1,
    }
    text = ' '.join(scaling_markdown([with_memory]).split())
    assert 'memory with the power 0.50: 4 MB and 12 bytes per pixel; the largest image' in text
    assert 'takes 65 bytes per pixel' in text
    plot_scaling([with_memory], tmp_path / 'with_memory.png')
    assert (tmp_path / 'with_memory.png').stat().st_size > 1000
