# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The benchmark of whole frames measures each case, and its report shows the numbers."""

import errno
import json
import sys

import numpy as np
import pytest

pytest.importorskip('matplotlib', reason='matplotlib is not installed')
pytest.importorskip('psutil', reason='psutil is not installed')

from superpoint_ros.benchmark import benchmark_report as report
from superpoint_ros.benchmark import frame_times
from superpoint_ros.benchmark.benchmark_tables import methods_table
from superpoint_ros.benchmark.candidates import (
    Execution,
    FRAME_STAGES,
    frames_of,
    FrameTime,
    make_candidate,
    NetworkSource,
    read_photographs,
    Rounds,
    TimedBaseline,
    TimedDetector,
)
from superpoint_ros.benchmark.frame_memory import measure_memory
from superpoint_ros.benchmark.frame_times import (
    make_each,
    measure_frames,
    percentiles,
    SpeedPlan,
)
from superpoint_ros.benchmark.machine import describe_machine
from superpoint_ros.resources import default_weights

MACHINE = {**describe_machine(1), 'processor': 'a processor'}


@pytest.fixture(scope='module')
def result(tiny):
    plan = SpeedPlan(
        sizes=[(64, 48), (100, 75)],
        networks=[tiny],
        executions=[Execution('torch'), Execution('torch', 'float16')],
        methods=['Shi-Tomasi', 'ORB', 'SIFT', 'AKAZE'],
        keypoints=20,
        rounds=4,
        warm_up=1,
        memory=False,
        peak_sides=[128],
    )
    return measure_frames(plan, lambda text: None)


def test_frame_benchmark_has_the_baseline_and_each_possible_case(result):
    cases = [(case['engine'], case['precision'], case['size']) for case in result['cases']]
    assert cases == [
        ('baseline', 'float32', [64, 48]),
        ('torch', 'float32', [64, 48]),
        ('baseline', 'float32', [100, 75]),
        ('torch', 'float32', [100, 75]),
    ]
    assert list(result['skipped']) == ['torch float16']
    assert 'needs CUDA' in result['skipped']['torch float16']


def test_frame_benchmark_numbers_are_consistent(result):
    for case in result['cases']:
        assert 0 < case['frame']['p50'] <= case['frame']['p99']
        assert case['keypoints'] == pytest.approx(20, abs=2)
    baseline, ours = result['cases'][:2]
    assert baseline['ratio'] == 1
    assert ours['ratio'] > 0
    network = ours['stages']['network']['p50']
    assert ours['rate'] == pytest.approx(ours['multiply_adds'] / network * 1e3)
    share = ours['roofline']['share_of_peak']
    assert share == pytest.approx(ours['rate'] / result['peaks']['float32'])
    seconds = ours['traffic'] / result['bandwidths']['cpu']
    assert ours['roofline']['share_of_bandwidth'] == pytest.approx(1e3 * seconds / network)
    assert list(ours['stages'])[:5] == list(FRAME_STAGES)[:5]
    for name in FRAME_STAGES[:5]:
        assert 0 < ours['stages'][name]['p50'] <= ours['frame']['p50']


def result_of(monkeypatch, seconds, networks, methods=()):
    """Return the result if the candidates take these seconds, each a list with one per round."""
    rounds = [Rounds([FrameTime(each, {}) for each in own], [5] * len(own)) for own in seconds]
    for kind in (TimedDetector, TimedBaseline):
        monkeypatch.setattr(kind, 'prepare', lambda self, frames: None)
    monkeypatch.setattr(frame_times, 'alternate', lambda *_: rounds)
    plan = SpeedPlan([(64, 48)], networks, methods=methods, memory=False, peak_sides=[64])
    return measure_frames(plan, lambda text: None)


def test_frame_time_ratio_is_the_median_over_the_rounds(monkeypatch, tiny):
    """A pause of the machine that slows down one round does not count."""
    cases = result_of(monkeypatch, ((6.0, 6.0, 60.0), (2.0, 3.0, 20.0)), [tiny])['cases']
    assert [case['ratio'] for case in cases] == [1, 3]
    assert cases[1]['frame'] == percentiles([2.0, 3.0, 20.0])


def test_frame_benchmark_compares_with_the_detectors_of_opencv(result):
    named = {(case['method'], *case['size']): case for case in result['methods']}
    assert len(named) == 8
    assert named['ORB', 64, 48]['orb_ratio'] == 1
    for case in named.values():
        assert 0 < case['frame']['p50'] <= case['frame']['p99']
        assert case['orb_ratio'] > 0
    assert named['Shi-Tomasi', 100, 75]['keypoints'] == pytest.approx(20)
    assert 0 < named['SIFT', 100, 75]['keypoints'] <= 21  # of equal responses, SIFT keeps both
    table = methods_table(result)
    assert table.count('(OpenCV)') == 8
    assert table.count('tiny 100x75') == 2


def test_frame_time_relative_to_orb_is_the_median_over_the_rounds(monkeypatch, tiny):
    times = ((8.0, 8.0, 80.0), (2.0, 3.0, 20.0), (4.0, 6.0, 1.0))
    result = result_of(monkeypatch, times, [tiny], ['ORB'])
    assert [case['orb_ratio'] for case in result['cases']] == [2, 0.5]
    assert [case['orb_ratio'] for case in result['methods']] == [1]


def test_frame_time_percentiles_are_in_milliseconds():
    times = percentiles(np.arange(101) * 1e-3)
    assert times == {'p50': pytest.approx(50), 'p99': pytest.approx(99)}


def test_frame_benchmark_names_the_reason_if_nothing_can_be_run(tiny):
    plan = SpeedPlan(networks=[tiny], executions=[Execution('abacus')], memory=False)
    with pytest.raises(ValueError, match="nothing can be measured: engine must be .* 'abacus'"):
        measure_frames(plan, lambda text: None)


def test_benchmark_skips_impossible_executions_with_the_reason(tiny):
    executions = [Execution('abacus'), Execution('torch')]
    plan, reported = SpeedPlan(networks=[tiny], executions=executions), []

    def make(execution, model):
        return make_candidate(execution, model, keypoints=10, threads=1)

    made = list(make_each(plan, make, reported.append))
    assert [execution.engine for _, _, execution, _ in made] == ['torch']
    assert 'skipped tiny, abacus float32: engine must be' in reported[0]
    impossible = SpeedPlan(networks=[tiny], executions=executions[:1])
    with pytest.raises(ValueError, match="nothing can be measured: abacus float32: .* 'abacus'"):
        list(make_each(impossible, make, reported.append))


def test_benchmark_report_has_numbers_tables_and_a_chart(result, tmp_path):
    files = report.write_report(MACHINE, {'frames': result}, tmp_path)
    assert [file.name for file in files] == ['benchmark.json', 'benchmark.md', 'frames.png']
    written = json.loads(files[0].read_text())
    assert (written['frames'], written['files']) == (result, ['frames.png'])
    text = files[1].read_text()
    assert 'Measured on a processor' in text
    line = next(line for line in text.splitlines() if line.startswith('| tiny 64x48, torch'))
    cells = [cell.strip() for cell in line.strip('|').split('|')]
    ours = result['cases'][1]
    assert cells[3] == f'{ours["ratio"]:.2f}'
    assert cells[4] == '-'
    assert cells[6] == f'{ours["multiply_adds"] * 1e-9:.2f}'
    assert cells[8] == f'{ours["roofline"]["share_of_peak"]:.0%}'
    assert cells[9:] == [f'{ours["keypoints"]:.0f}', '-', '-']
    assert files[2].read_bytes().startswith(b'\x89PNG')


def test_benchmark_report_replaces_the_section_of_a_document(result, tmp_path):
    report.write_report(MACHINE, {'frames': result}, tmp_path / 'out')
    document = tmp_path / 'performance.md'
    document.write_text('before\n<!-- benchmark: frames -->\nold\n<!-- end -->\nafter\n')
    for _ in range(2):
        report.update_document(document, MACHINE, {'frames': result}, tmp_path / 'out')
    text = document.read_text()
    assert text.startswith('before\n<!-- benchmark: frames -->\nMeasured on a processor')
    assert text.endswith('<!-- end -->\nafter\n')
    assert 'old' not in text
    assert text.count('tiny 64x48, baseline') == 2  # whole frames, and the comparison with ORB
    assert (tmp_path / 'images' / 'benchmark_frames.png').is_file()
    with pytest.raises(ValueError, match=r'lacks the lines <!-- benchmark: node -->'):
        report.update_document(document, MACHINE, {'node': []}, tmp_path / 'out')


def test_a_full_disk_damages_neither_a_document_nor_its_charts(result, tmp_path, monkeypatch):
    def fail(path, _):
        raise OSError(errno.ENOSPC, 'No space left on device', str(path))

    report.write_report(MACHINE, {'frames': result}, tmp_path / 'out')
    document, chart = tmp_path / 'page.md', tmp_path / 'images' / 'benchmark_frames.png'
    chart.parent.mkdir()
    chart.write_bytes(b'old')
    document.write_text('<!-- benchmark: frames -->\nold\n<!-- end -->\n')
    monkeypatch.setattr(report, 'write_atomically', fail)
    with pytest.raises(OSError, match='No space left on device'):
        report.update_document(document, MACHINE, {'frames': result}, tmp_path / 'out')
    assert chart.read_bytes() == b'old'
    assert document.read_text() == '<!-- benchmark: frames -->\nold\n<!-- end -->\n'


def test_frame_benchmark_compares_small_networks_with_the_paper_too(monkeypatch, tiny):
    networks = [NetworkSource('paper'), tiny]
    cases = result_of(monkeypatch, ((40.0,), (10.0,), (4.0,), (2.0,)), networks)['cases']
    assert [case['ratio'] for case in cases] == [1, 4, 1, 2]
    assert [case['ratio_to_paper'] for case in cases] == [1, 4, 10, 20]


@pytest.mark.skipif(sys.platform != 'linux', reason='memory is measured on Linux only')
def test_memory_of_a_large_frame_is_at_most_330_bytes_per_pixel():
    width, height = 1280, 960
    [frame] = frames_of(read_photographs()[:1], (width, height))
    shipped = NetworkSource('shipped', str(default_weights()))
    memory = measure_memory(shipped, Execution('torch'), frame, 0.015, keypoints=1000, threads=1)
    # The output of the first layer alone has 16 float32 channels per pixel.
    assert 64 < memory.frame / (width * height) <= 330
    assert memory.process > memory.frame + 50e6
