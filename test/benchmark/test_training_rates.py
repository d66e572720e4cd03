# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rates of training and adaptation, and the profile of their parts."""

import time

import pytest

pytest.importorskip('lightning', reason='lightning is not installed')
pytest.importorskip('matplotlib', reason='matplotlib is not installed')
pytest.importorskip('psutil', reason='psutil is not installed')
pytest.importorskip('pyinstrument', reason='pyinstrument is not installed')

from superpoint_ros.benchmark.benchmark_charts import plot_training
from superpoint_ros.benchmark.benchmark_tables import training_markdown
from superpoint_ros.benchmark.time_shares import REST, shares_of
from superpoint_ros.benchmark.training_rates import calls_per_second, measure_training

SMALL = ['--width=64', '--height=48', '--batch=2', '--workers=0']


def _long():
    time.sleep(0.06)


def _short():
    time.sleep(0.02)


def _generated():
    _long()
    return sum(_short() or 1 for _ in range(2))


def test_profile_shares_the_time_of_a_function_among_its_callees():
    shares = shares_of(lambda: _generated(), _generated)
    assert list(shares) == ['long', 'short', REST]
    assert shares['long'] == pytest.approx(0.6, abs=0.15)
    assert shares['short'] == pytest.approx(0.4, abs=0.15)
    assert sum(shares.values()) == pytest.approx(1)


def test_profile_of_a_function_that_is_not_called_is_refused():
    with pytest.raises(ValueError, match='_generated was not called'):
        shares_of(_short, _generated)


def test_training_rate_is_counted_over_whole_calls():
    calls = []
    rate = calls_per_second(lambda: calls.append(time.sleep(0.01)), seconds=0.1)
    assert 2 <= len(calls) <= 11
    assert 0 < rate <= 100


def test_training_benchmark_measures_all_recipes_and_adaptation(tmp_path):
    changes = {
        'magicpoint': SMALL,
        'superpoint': SMALL,
        'adapt': ['--homographies=8', '--longest_side=160', '--batch=2'],
    }
    result = measure_training(1, lambda text: None, seconds=0.1, changes=changes)
    assert [stage['recipe'] for stage in result['stages']] == ['cpu', 'cpu', 'repeatability']
    assert [stage['batch_images'] for stage in result['stages']] == [2, 4, 4]
    for stage in result['stages']:
        assert min(stage['data_rate'], stage['network_rate'], stage['together_rate']) > 0
        assert 0 < stage['waiting'] <= 1
        assert sum(stage['parts'].values()) == pytest.approx(1)
        assert set(stage['parts']) > {REST}
    adaptation = result['adaptation']
    assert min(adaptation['view_rate'], adaptation['network_rate']) > 0
    assert {'detect', 'heatmaps'} & set(adaptation['parts'])
    text = training_markdown(result)
    assert f'{adaptation["view_rate"]:.1f} views per second (8 per image)' in text
    plot_training(result, tmp_path / 'training.png')
    assert (tmp_path / 'training.png').stat().st_size > 1000
