# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The tests run in other environments, too: in a ROS installation, and without extras."""

from __future__ import annotations

from collections import Counter
import os
from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run_pytest(*arguments):
    """Return the finished process of a pytest in the repository."""
    path = os.pathsep.join([str(ROOT / 'test'), str(ROOT), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *arguments],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': path, 'PYTEST_ADDOPTS': ''},  # that of colcon
        capture_output=True,
        text=True,
    )


def test_files_of_tests_have_unique_names():
    # launch_testing's plugin for pytest imports each of them under its name without the folder.
    names = Counter(path.name for path in (ROOT / 'test').rglob('test_*.py'))
    assert [name for name, count in names.items() if count > 1] == []
    helpers = {path.stem for path in (ROOT / 'test').rglob('*.py')} - {'conftest'}
    assert not helpers & sys.stdlib_module_names


def test_tests_are_collected_with_the_required_packages_alone():
    run = run_pytest(
        '--collect-only',
        *('-p', 'support.core_only', '--only', 'hypothesis'),
        *('-p', 'no:timeout'),  # its marker must be registered without it
        *('-p', 'support.launch_plugins'),
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]
    collected = set(re.findall(r'^(test/\S+?\.py)::', run.stdout, re.MULTILINE))
    # A module that needs an optional package does not skip its neighbours.
    assert {'test/test_detector.py', 'test/training/test_losses.py'} <= collected
    # Both were blocked.
    assert 'test/ros/test_detector_node.py' not in collected
    assert 'test/training/test_distillation.py' not in collected


def test_logged_warnings_are_seen_although_launch_is_installed():
    file = 'test/data/test_benchmark_from_photographs.py'
    run = run_pytest('-p', 'support.launch_plugins', file, '-k', 'unusable')
    assert re.search(r'^\d+ passed', run.stdout.splitlines()[-1]), run.stdout[-3000:]


def test_old_pytest_of_ubuntu_is_accepted():
    tomllib = pytest.importorskip('tomllib', reason='Python 3.10 has no tomllib')
    options = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['pytest']['ini_options']
    assert options['minversion'] == '7.4'
    later = 'exc_' + 'type'  # an argument of importorskip since pytest 8.2
    sources = [path for path in (ROOT / 'test').rglob('*.py') if path != Path(__file__)]
    assert [str(path) for path in sources if later in path.read_text()] == []
