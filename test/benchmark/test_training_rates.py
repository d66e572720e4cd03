# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rates of training and adaptation."""

import time

import pytest

pytest.importorskip('lightning', reason='lightning is not installed')
pytest.importorskip('matplotlib', reason='matplotlib is not installed')
pytest.importorskip('psutil', reason='psutil is not installed')

from superpoint_ros.benchmark.benchmark_charts import plot_training
from superpoint_ros.benchmark.benchmark_tables import training_markdown
from superpoint_ros.benchmark.training_rates import calls_per_second, measure_training

SMALL = ['--width=64', '--height=48', '--batch=2', '--workers=0']


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
    adaptation = result['adaptation']
    assert min(adaptation['view_rate'], adaptation['network_rate']) > 0
    text = training_markdown(result)
    assert f'{adaptation["view_rate"]:.1f} views per second (8 per image)' in text
    plot_training(result, tmp_path / 'training.png')
    assert (tmp_path / 'training.png').stat().st_size > 1000
