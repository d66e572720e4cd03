# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The reports of measurements remain complete, those of stopped ones are marked."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource

import pytest

from superpoint_ros.evaluation.reports import markdown_table, UnfinishedReport, write_result
from superpoint_ros.visualization import write_figure


def test_a_report_that_cannot_be_written_leaves_the_previous_one(tmp_path):
    files = write_result(tmp_path, 'benchmark', {'first part': 1}, '# Benchmark')
    before = [file.read_bytes() for file in files]
    larger = {'first part': 1, 'second part': [0.5] * 1000}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match='File too large'):
            write_result(tmp_path, 'benchmark', larger, '# Benchmark')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.read_bytes() for file in files] == before
    assert len(list(tmp_path.iterdir())) == 2


def listed(folder, *names):
    """Write a report whose further files have these names."""
    write_result(folder, 'numbers', {'a': 1}, '# Numbers\n', [folder / name for name in names])
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('written')


def test_a_report_replaces_all_files_of_an_earlier_one_and_no_others(tmp_path):
    out = tmp_path / 'out'
    listed(out, 'plot.png', 'lines/a/x.txt', 'lines/a/y.txt', 'lines/b/x.txt', 'lines/c/d/x.txt')
    (out / 'lines' / 'a' / 'notes.txt').write_text('of the user')
    (out / 'lines' / 'empty').mkdir()
    (out / 'other.json').write_text('{"files": ["plot.png"]}')
    listed(out, 'plot.png', 'lines/b/x.txt')
    left = sorted(path.relative_to(out).as_posix() for path in out.rglob('*'))
    assert left == [
        'lines',
        'lines/a',
        'lines/a/notes.txt',
        'lines/b',
        'lines/b/x.txt',
        'lines/empty',
        'numbers.json',
        'numbers.md',
        'other.json',
        'plot.png',
    ]
    assert json.loads((out / 'numbers.json').read_text())['files'] == ['plot.png', 'lines/b/x.txt']


def test_a_report_removes_nothing_outside_its_folder_or_that_it_cannot_have_written(tmp_path):
    out, outside = tmp_path / 'out', tmp_path / 'outside.txt'
    outside.write_text('of the user')
    (out / 'folder').mkdir(parents=True)
    files = [str(outside), '../outside.txt', 'a/../../outside.txt', 'folder', 'missing.txt', '']
    (out / 'numbers.json').write_text(json.dumps({'files': files}))
    listed(out)
    assert outside.read_text() == 'of the user'
    assert (out / 'folder').is_dir()


@pytest.mark.parametrize(
    'content', ['', '[1]', '{}', '{"files": 1}', '{"files": [1]}', '\N{POUND SIGN}']
)
def test_a_report_replaces_a_file_that_is_not_one(content, tmp_path):
    (tmp_path / 'numbers.json').write_text(content, encoding='latin-1')
    (tmp_path / '1').write_text('of the user')
    listed(tmp_path)
    assert json.loads((tmp_path / 'numbers.json').read_text()) == {'a': 1}
    assert (tmp_path / '1').exists()


def test_a_report_that_cannot_be_written_keeps_the_files_of_the_previous_one(
    tmp_path, monkeypatch
):
    listed(tmp_path, 'plot.png')

    def full(_descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('os.fsync', full)
        with pytest.raises(OSError, match=r'numbers\.json'):
            listed(tmp_path)
    assert (tmp_path / 'plot.png').exists()


def test_tables_align_numbers_right_with_three_decimals_and_a_dash_for_none():
    rows = [['a', 0.12345, 7], ['b', None, '1.5']]
    assert markdown_table(['name', 'share', 'count'], rows) == (
        '| name | share | count |\n| --- | ---: | ---: |\n| a | 0.123 | 7 |\n| b | - | 1.5 |\n'
    )


def write(result, folder):
    """Write a result as a report."""
    return write_result(folder, 'numbers', result, '# Numbers\n')


def test_an_unfinished_report_replaces_the_one_of_an_earlier_run(tmp_path):
    folder = tmp_path / 'numbers_unfinished'
    folder.mkdir()
    (folder / 'old.txt').write_text('of an earlier run')
    with UnfinishedReport(tmp_path, 'numbers', write, 2, 'parts') as report:
        assert (folder / 'old.txt').exists()
        report.keep(lambda: {'a': 1})
        assert sorted(path.name for path in folder.iterdir()) == ['numbers.json', 'numbers.md']
        text = (folder / 'numbers.md').read_text()
        assert text == '**Unfinished: measured 1 of 2 parts.**\n\n# Numbers\n'
    assert not folder.exists()


def test_the_writing_of_unfinished_reports_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    clock, times = 0.0, []

    def slow(result, folder):
        nonlocal clock
        times.append(clock)
        clock += 1.0

    monkeypatch.setattr('time.monotonic', lambda: clock)
    with UnfinishedReport(tmp_path, 'numbers', slow, 100, 'parts') as report:
        for _ in range(100):
            report.keep(dict)
            clock += 1.0
    assert times == [0.0, 21.0, 42.0, 63.0, 84.0]


def test_a_full_disk_does_not_end_a_measurement(tmp_path, caplog):
    def full(result, folder):
        raise OSError(errno.ENOSPC, 'No space left on device', str(folder))

    reached = []
    with UnfinishedReport(tmp_path, 'numbers', full, 3, 'parts') as report:
        for part in range(3):
            report.keep(dict)
            reached.append(part)
    assert reached == [0, 1, 2]
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert 'No space left on device' in warnings[0].getMessage()


def test_a_chart_that_cannot_be_written_leaves_the_previous_one(tmp_path, monkeypatch):
    figure = pytest.importorskip('matplotlib.figure').Figure(figsize=(1, 1))
    path = tmp_path / 'chart.png'
    path.write_bytes(b'previous')

    def full(_descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('os.fsync', full)
        with pytest.raises(OSError, match=r'chart\.png'):
            write_figure(path, figure)
    assert path.read_bytes() == b'previous'
    assert [each.name for each in tmp_path.iterdir()] == ['chart.png']
    write_figure(path, figure, 50)
    assert path.read_bytes().startswith(b'\x89PNG')


def test_names_in_charts_and_tables_need_not_be_utf_8(tmp_path):
    figure = pytest.importorskip('matplotlib.figure').Figure(figsize=(1, 1))
    name = os.fsdecode(b'caf\xe9')
    axes = figure.subplots()
    axes.plot([0, 1], [1, 0], label=name)
    axes.set(title=name)
    axes.legend()
    write_figure(tmp_path / f'{name}.png', figure)
    assert (tmp_path / f'{name}.png').read_bytes().startswith(b'\x89PNG')
    files = write_result(tmp_path, name, {name: 1}, f'| {name} |')
    assert json.loads(files[0].read_text()) == {name: 1}
    assert files[1].read_text() == '| caf\N{REPLACEMENT CHARACTER} |'
