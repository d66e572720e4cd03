# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The benchmark command: options, tables, files."""

import json

import pytest

from superpoint_ros.cli import benchmark
from superpoint_ros.cli.main import main
from superpoint_ros.resources import demo_photographs

pytest.importorskip('matplotlib')
pytest.importorskip('psutil')

METHODS = ('ORB', 'SIFT', 'AKAZE', 'Shi-Tomasi')


def test_benchmark_prints_and_writes_times_of_whole_frames(weights, tmp_path, capsys):
    options = f'--weights {weights} --sizes 96x64 --engines torch --precisions float32 --rounds 3'
    options += f' --threads 1 --no-memory --max-keypoints 20 --out {tmp_path}/out'
    assert main(['benchmark', *options.split()]) == 0
    said = capsys.readouterr().out
    assert '| random 96x64, torch float32 |' in said
    assert '| case | p50 ms | p99 ms | time / ORB | keypoints |' in said
    assert '| Shi-Tomasi (OpenCV) 96x64 |' in said
    written = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    assert [case['engine'] for case in written['frames']['cases']] == ['baseline', 'torch']
    assert {case['method'] for case in written['frames']['methods']} == set(METHODS)
    assert written['machine']['threads'] == 1
    assert (tmp_path / 'out' / 'frames.png').is_file()
    assert not (tmp_path / 'out' / 'benchmark_unfinished').exists()


def test_an_interrupted_benchmark_leaves_a_report_of_its_parts_and_the_complete_one(
    weights, tmp_path, monkeypatch, capsys
):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('superpoint_ros.benchmark.tracking_times.measure_tracking', interrupted)
    options = f'--frames --tracking --weights {weights} --sizes 96x64 --engines torch --rounds 1'
    options += ' --precisions float32 --threads 1 --no-memory --max-keypoints 20 --methods'
    out = tmp_path / 'out'
    out.mkdir()
    earlier = {
        name: f'earlier {name}' for name in ('benchmark.json', 'benchmark.md', 'frames.png')
    }
    for name, content in earlier.items():
        (out / name).write_text(content)
    assert main(['benchmark', *options.split(), '--out', str(out)]) == 130
    printed = capsys.readouterr()
    assert '| random 96x64, torch float32 |' in printed.out
    unfinished = out / 'benchmark_unfinished'
    assert f'measured 1 of 2 parts; their report is in {unfinished}' in printed.err
    written = json.loads((unfinished / 'benchmark.json').read_text())
    assert list(written) == ['machine', 'frames', 'unfinished', 'files']
    assert (
        (unfinished / 'benchmark.md').read_text().startswith('**Unfinished: measured 1 of 2 parts')
    )
    assert (unfinished / 'frames.png').is_file()
    assert {name: (out / name).read_text() for name in earlier} == earlier


def test_benchmark_names_and_skips_unreadable_images_and_exits_with_1(weights, tmp_path, capsys):
    photos = tmp_path / 'photos'
    photos.mkdir()
    (photos / 'good.png').write_bytes(demo_photographs()[0].read_bytes())
    (photos / 'bad.png').write_bytes(b'no image')
    options = f'--weights {weights} --sizes 96x64 --engines torch --precisions float32 --rounds 1'
    options += f' --threads 1 --no-memory --max-keypoints 20 --methods --images {photos}'
    assert main(['benchmark', *options.split(), '--out', str(tmp_path / 'out')]) == 1
    assert capsys.readouterr().err.count(f'skipped: {photos}/bad.png cannot be read') == 1
    assert (tmp_path / 'out' / 'frames.png').is_file()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--networks', 'huge'], 'unknown network huge: choose from paper, large, compact'),
        (['--weights', 'no.safetensors'], 'there is no weight file no.safetensors'),
        (['--methods', 'SURF'], "unknown method 'SURF': choose from ORB, SIFT, AKAZE"),
        (['--images', 'nowhere'], 'nowhere is not a folder'),
        (['--device', 'gpu'], "device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got 'gpu'"),
    ],
)
def test_benchmark_names_missing_networks_files_and_devices(options, message, tmp_path, capsys):
    assert main(['benchmark', *options, '--out', str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'No such file'),
        ('no section', 'lacks the lines <!-- benchmark: frames -->'),
        ('\x89', 'page.md is not a text file in UTF-8'),
    ],
)
def test_benchmark_refuses_a_document_that_cannot_be_updated_before_it_measures(
    content, message, weights, tmp_path, capsys
):
    document = tmp_path / 'page.md'
    if content:
        document.write_text(content, encoding='latin-1')
    options = ['--weights', weights, '--out', str(tmp_path / 'out'), '--docs', str(document)]
    assert main(['benchmark', *options]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ''
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('part', ['--frames', '--scaling'])
def test_benchmark_gives_each_reason_why_nothing_can_be_measured_once(part, tmp_path, capsys):
    options = ['--engines', 'torchy', '--networks', 'nano', '--out', str(tmp_path)]
    assert main(['benchmark', part, *options]) == 2
    assert capsys.readouterr().err.splitlines()[-1].count("got 'torchy'") == 1


@pytest.mark.parametrize(
    ('part', 'package'), [('--node', 'rclpy'), ('--training', 'lightning'), ('--all', 'rclpy')]
)
def test_benchmark_names_a_missing_package_before_it_measures(
    part, package, tmp_path, monkeypatch, capsys
):
    found = benchmark.find_spec
    monkeypatch.setattr(benchmark, 'find_spec', lambda name: name != package and found(name))
    assert main(['benchmark', part, '--out', str(tmp_path / 'out')]) == 1
    printed = capsys.readouterr()
    assert f'benchmark needs the module {package}: pip install' in printed.err
    assert printed.out == ''
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('options', [['--sizes', '640'], ['--rounds', '0'], ['--threads', 'x']])
def test_benchmark_refuses_wrong_numbers(options, capsys):
    with pytest.raises(SystemExit) as stop:
        main(['benchmark', *options])
    assert stop.value.code == 2
    assert options[1] in capsys.readouterr().err
