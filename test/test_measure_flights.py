# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`scripts/measure_flights.sh` renders a flight through each scene and measures all of them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import subprocess

import pytest

from superpoint_ros.cli import evaluate_odometry, make_sequence

SCRIPT = Path(__file__).resolve().parents[1] / 'scripts' / 'measure_flights.sh'


def run(*arguments, **variables):
    return subprocess.run(
        ['bash', SCRIPT, *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def parsed(module, words):
    """Return what the command reads from its command line."""
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    if module is evaluate_odometry:
        parser.add_argument('--out')
    return parser.parse_args(words)


@pytest.fixture
def commands(tmp_path):
    """Return a program that stands for Python and a function that returns how it was called."""
    program = tmp_path / 'python'
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    return str(program), lambda: (tmp_path / 'calls').read_text().splitlines()


def test_flights_through_all_scenes_are_rendered_and_measured(tmp_path, commands):
    program, calls = commands
    for name in ('interiors/house.glb', 'interiors/shop.glb', 'street/cafe.glb'):
        path = tmp_path / 'scenes' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    out = tmp_path / 'out'
    done = run(tmp_path / 'scenes', out, '--weights', 'a', 'b', PYTHON=program, FRAMES='80')
    assert (done.returncode, done.stderr) == (0, '')
    lines = [line.removeprefix('-m superpoint_ros.cli.main ') for line in calls()]
    rendered = [
        parsed(make_sequence, line.split()[1:]) for line in lines if line.startswith('make')
    ]
    assert [str(args.out.relative_to(out)) for args in rendered] == [
        'flights/house',
        'flights/shop',
        'flights/street',
    ]
    assert [args.frames for args in rendered] == [80, 80, 60]
    assert rendered[2].street == [tmp_path / 'scenes' / 'street']
    measured = [
        parsed(evaluate_odometry, line.split()[2:])
        for line in lines
        if line.startswith('evaluate odometry')
    ]
    assert [args.scale for args in measured] == ['none', 'stereo']
    assert {args.data[0] for args in measured} == {str(out / 'flights')}
    assert {tuple(args.weights) for args in measured} == {('a', 'b')}


def test_a_folder_without_scenes_is_named(tmp_path, commands):
    done = run(tmp_path, tmp_path / 'out', PYTHON=commands[0])
    assert done.returncode == 2, done.stderr
    assert 'has neither interiors/*.glb nor street/' in done.stderr
    done = run(tmp_path / 'nowhere', tmp_path / 'out')
    assert done.returncode == 2, done.stderr
    assert 'usage: measure_flights.sh SCENES OUT' in done.stderr
