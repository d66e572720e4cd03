# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The soak command runs a real node under load, and its judgement sees what is wrong."""

from __future__ import annotations

from dataclasses import replace
import math
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed')

from superpoint_ros import visualization
from superpoint_ros.cli.main import main
from superpoint_ros.ros.testing import stress_test as soak
from superpoint_ros.ros.testing.stress_report import judge, plot_samples, Sample, write_samples
from superpoint_ros.ros.testing.stress_test import Load, run_soak

GOOD = Sample(0.0, 200.0, 20.0, 180.0, 60.0, 80.0, 50.0, 5.0, 15.0, 2.0, 500.0)


def samples(count=40, **changes):
    """Return good samples of many seconds, with fields changed by functions of the second."""
    return [
        replace(GOOD, time=float(second), **{name: of(second) for name, of in changes.items()})
        for second in range(count)
    ]


def test_a_node_that_meets_all_requirements_is_not_blamed():
    assert judge(samples(), status=0) == {}
    assert judge(samples(parameters=lambda s: math.nan if s % 2 else 5.0), status=0) == {}
    assert judge(samples(weights=lambda s: math.nan), status=0) == {}


def test_constant_values_lie_below_the_frame_of_the_chart(tmp_path, monkeypatch):
    pytest.importorskip('matplotlib', reason='matplotlib is not installed')
    figures = []
    monkeypatch.setattr(
        visualization, 'write_figure', lambda _, figure, __: figures.append(figure)
    )
    plot_samples(samples(memory=lambda s: 500.0 - (s == 0)), tmp_path / 'soak.png')
    lowest, highest = figures[0].axes[0].get_ylim()
    assert lowest == 0
    assert 520 < highest < 550


@pytest.mark.parametrize(
    ('promise', 'changes', 'status', 'how'),
    [
        ('memory', {'memory': lambda s: 500.0 + 4 * s}, 0, 'grew from 595 to 659 MB'),
        ('latency', {'latency_p50': lambda s: 120.0}, 0, 'median 120 ms, inference takes'),
        ('latency', {'latency_p50': lambda s: math.nan}, 0, 'nan ms'),
        (
            'parameters',
            {'parameters': lambda s: 150.0},
            0,
            '5 % of the calls took 150 ms or more',
        ),
        ('parameters', {'parameters': lambda s: math.nan}, 0, 'took nan ms'),
        (
            'weights',
            {'weights': lambda s: math.nan if s % 10 else 150.0},
            0,
            '5 % of the calls took 150 ms or more',
        ),
        ('end', {}, -9, 'ended with status -9'),
    ],
)
def test_a_requirement_that_is_not_met_is_named(promise, changes, status, how):
    broken = judge(samples(**changes), status)
    assert list(broken) == [promise]
    assert how in broken[promise]


def on_a_busy_machine(**changes):
    """Return samples in which even an idle node answers after 400 ms."""
    return samples(control=lambda s: 400.0, **changes)


def test_the_load_of_the_machine_is_not_blamed_on_the_node():
    slow = {'parameters': lambda s: 490.0, 'latency_p50': lambda s: 480.0}
    assert judge(on_a_busy_machine(**slow), status=0) == {}
    assert list(judge(samples(**slow), status=0)) == ['latency', 'parameters']
    # One slow call of the idle node in a hundred excuses no slow node.
    once = samples(100, **slow, control=lambda s: 400.0 if s == 50 else 2.0)
    assert list(judge(once, status=0)) == ['latency', 'parameters']


def test_a_node_that_is_slower_than_an_idle_one_is_blamed_on_a_busy_machine():
    slow = {'parameters': lambda s: 520.0, 'latency_p50': lambda s: 520.0}
    broken = judge(on_a_busy_machine(**slow), status=0)
    assert list(broken) == ['latency', 'parameters']
    assert broken['parameters'].endswith('took 520 ms or more, those of an idle node 400 ms')


def test_without_answers_of_the_idle_node_the_plain_limits_hold():
    assert judge(samples(control=lambda s: math.nan), status=0) == {}
    slow = samples(control=lambda s: math.nan, parameters=lambda s: 150.0)
    assert list(judge(slow, status=0)) == ['parameters']


def filled(second):
    """Return memory that grows by a fifth while caches fill, and varies with new weights."""
    return 600 - 100 * math.exp(-second / 25) + second % 10


@pytest.mark.parametrize('seconds', [60, 150, 420, 3600])
def test_memory_is_judged_right_at_every_length(seconds):
    assert judge(samples(seconds, memory=lambda s: 600 + s % 10), 0) == {}
    leak = 30 / (seconds / 2)  # MB per second
    leaking = samples(seconds, memory=lambda s: 600 + s % 10 + leak * s)
    assert list(judge(leaking, 0)) == ['memory']


@pytest.mark.parametrize('seconds', [30, 60, 150, 420, 3600])
def test_peaks_while_a_second_network_is_loaded_are_not_blamed(seconds):
    rng = np.random.default_rng(seconds)
    for _ in range(20):
        # Every ten seconds a network is loaded, for one to six seconds on a busy machine.
        peaks = np.repeat(rng.uniform(0, 50, seconds // 10 + 1), 10)[:seconds]
        loading = (
            np.arange(seconds) % 10
            < np.repeat(rng.integers(1, 7, len(peaks) // 10 + 1), 10)[:seconds]
        )
        memory = 620 + rng.normal(0, 2, seconds) + peaks * loading
        assert judge(samples(seconds, memory=lambda s, m=memory: m[int(s)]), 0) == {}


@pytest.mark.parametrize('seconds', [150, 420, 3600])
def test_the_warm_up_of_memory_is_not_blamed(seconds):
    assert judge(samples(seconds, memory=filled), 0) == {}


def test_samples_are_written_as_a_table(tmp_path):
    write_samples(samples(2), tmp_path / 'soak.csv')
    names, first, second = (tmp_path / 'soak.csv').read_text().splitlines()
    assert names.startswith('time,sent,answered,dropped,latency_p50')
    assert first.startswith('0.000,200.000,20.000')
    assert second.startswith('1.000,')


def test_an_interrupted_soak_writes_what_was_measured(tmp_path, monkeypatch):
    pytest.importorskip('matplotlib', reason='matplotlib is not installed')

    def run(load, folder, parameters, progress):
        progress(GOOD)
        raise KeyboardInterrupt

    monkeypatch.setattr(soak, 'run_soak', run)
    assert main(['soak', '--output', str(tmp_path)]) == 130
    assert len((tmp_path / 'soak.csv').read_text().splitlines()) == 2
    assert (tmp_path / 'soak.png').is_file()


@pytest.mark.parametrize(
    ('changes', 'printed', 'status'),
    [
        ({}, ['latency     p50 60 ms, p99 80 ms; inference 50 ms', 'promises    kept'], 0),
        (
            dict.fromkeys(('latency_p50', 'latency_p99', 'inference'), math.nan),
            ['latency     p50 unknown, p99 unknown; inference unknown', 'BROKEN      latency: '],
            1,
        ),
    ],
)
def test_soak_prints_what_was_measured_and_whether_promises_are_kept(
    tmp_path, monkeypatch, capsys, recwarn, changes, printed, status
):
    pytest.importorskip('matplotlib', reason='matplotlib is not installed')

    def run(load, folder, parameters, progress):
        for sample in samples(5):
            progress(replace(sample, **changes))
        return 0

    monkeypatch.setattr(soak, 'run_soak', run)
    assert main(['soak', '--output', str(tmp_path)]) == status
    said = capsys.readouterr().out
    for line in ('parameters  p50 5 ms, slowest 5 ms, 5 calls', *printed):
        assert line in said
    assert not [each for each in recwarn if each.category is RuntimeWarning]


HEAPS = """
import ctypes
import sys
import threading
from superpoint_ros.ros.process_environment import limit_heaps

limit_heaps(dict(pair.split('=') for pair in sys.argv[2:]))
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
barrier = threading.Barrier(7)


def allocate():
    libc.malloc(1000)
    barrier.wait()


threads = [threading.Thread(target=allocate) for _ in range(6)]
for thread in threads:
    thread.start()
barrier.wait()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b'w'))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='heaps are those of glibc')
def test_the_threads_of_a_node_share_two_heaps_unless_the_user_has_chosen(tmp_path):
    assert heaps(tmp_path / 'heaps') == 2
    assert heaps(tmp_path / 'heaps', 'MALLOC_ARENA_MAX=8') > 2


def heaps(path, *variables):
    """Return how many heaps six threads use after `limit_heaps` with these variables."""
    free = {name: value for name, value in os.environ.items() if name != 'MALLOC_ARENA_MAX'}
    subprocess.run([sys.executable, '-c', HEAPS, str(path), *variables], env=free, check=True)
    return path.read_text().count('<heap nr=')


def test_a_real_node_is_measured(tmp_path, random_weights, monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(ros_domain(6)))
    parameters = {'weights': str(random_weights), 'engine': 'torch', 'device': 'cpu'}
    measured = []
    load = Load(seconds=6, rate=60, width=160, height=120, broken=0.2)
    monkeypatch.setattr(soak, '_WEIGHTS_EVERY', 2)
    assert run_soak(load, tmp_path, parameters, measured.append) == 0
    assert 3 <= len(measured) <= 6  # each takes more than a second on a busy machine
    assert sum(sample.sent for sample in measured) > 20
    assert sum(sample.answered for sample in measured) > 0
    assert all(sample.memory > 50 for sample in measured)
    assert any(sample.parameters > 0 for sample in measured)
    assert any(sample.weights > 0 for sample in measured)
    assert any(sample.control > 0 for sample in measured)
    assert 'bad frames' in (tmp_path / 'detector.log').read_text()


def test_an_invalid_parameter_of_the_soak_is_a_value_error(tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(ros_domain(6)))
    with pytest.raises(ValueError, match='there is no weight file nothing'):
        run_soak(Load(seconds=5), tmp_path, {'weights': 'nothing'}, lambda sample: None)
