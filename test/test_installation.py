# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The package works after it was installed by pip, and by colcon."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import sys
import venv

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ('superpoint_ros', 'resource', 'include', 'launch', 'config', 'models', 'cmake')
FILES = ('LICENSE', 'README.md', 'package.xml', 'pyproject.toml', 'setup.cfg', 'setup.py')


def copy_sources(folder):
    """Copy what a build needs, without what previous builds left, and return the folder."""
    unwanted = shutil.ignore_patterns('__pycache__', '*.egg-info')
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope='module')
def installed_wheel(tmp_path_factory):
    """Install a wheel of the package into its own prefix; return the prefix."""
    pytest.importorskip('pip', reason='pip is not installed')
    folder = tmp_path_factory.mktemp('wheel')
    sources = copy_sources(folder / 'sources')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--quiet']
    build = ['wheel', '--no-deps', '--no-build-isolation', '--no-index', '--wheel-dir', '.']
    subprocess.run([*pip, *build, str(sources)], cwd=folder, check=True)
    shutil.rmtree(sources)
    [wheel] = folder.glob('*.whl')
    prefix = folder / 'prefix'
    install = ['install', '--no-deps', '--no-index', '--ignore-installed', '--prefix', prefix]
    subprocess.run([*pip, *install, wheel], cwd=folder, check=True)
    return prefix


def test_a_wheel_works_from_another_folder(installed_wheel, tmp_path):
    [libraries] = installed_wheel.glob('l*/python*/*-packages')
    # Compiling takes half a minute; loops over a small image are fast enough.
    path = os.pathsep.join([str(libraries), os.environ.get('PYTHONPATH', '')])
    environment = {**os.environ, 'PYTHONPATH': path}
    if np.lib.NumpyVersion(np.__version__) >= '2.0.0':  # NumPy 1 adds np.uintp and int to floats
        environment['NUMBA_DISABLE_JIT'] = '1'
    squares = np.kron(np.eye(8, dtype=np.uint8), np.full((8, 8), 200, np.uint8))
    assert cv2.imwrite(str(tmp_path / 'squares.png'), squares)
    program = [str(installed_wheel / 'bin' / 'superpoint'), 'detect', '--out', 'found']
    subprocess.run([*program, 'squares.png'], cwd=tmp_path, env=environment, check=True)
    assert '.npz' in {path.suffix for path in (tmp_path / 'found').iterdir()}
    share = installed_wheel / 'share' / 'superpoint_ros'
    code = (
        'from superpoint_ros.resources import default_weights, RECIPES, share_directory\n'
        'print(share_directory(), default_weights(), RECIPES / "superpoint_cpu.yaml")\n'
        'print(*(share_directory() / "launch").glob("*.launch.py"))'
    )
    run = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found, launch_files = (line.split() for line in run.stdout.splitlines())
    recipe = libraries / 'superpoint_ros' / 'training' / 'recipes' / 'superpoint_cpu.yaml'
    weights = share / 'models' / 'superpoint_compact.safetensors'
    assert [Path(path) for path in found] == [share, weights, recipe]
    assert recipe.is_file()
    assert {Path(path).name for path in launch_files} == {
        path.name for path in (ROOT / 'launch').glob('*.launch.py')
    }


@pytest.mark.parametrize('chosen', ['active', 'workspace', 'neither'])
def test_programs_run_with_the_python_of_the_environment(tmp_path, chosen):
    # As colcon calls it, with the Python that colcon runs with.
    sources = copy_sources(tmp_path / 'src' / 'superpoint_ros')
    folders = {'active': tmp_path / 'elsewhere', 'workspace': tmp_path / '.venv'}
    environment = {**os.environ, 'PYTHONPATH': '', 'VIRTUAL_ENV': ''}
    if chosen != 'neither':
        venv.create(folders['workspace'], symlinks=True)
    if chosen == 'active':
        venv.create(folders['active'], symlinks=True)
        environment['VIRTUAL_ENV'] = str(folders['active'])
    options = ['install', '--prefix', str(tmp_path / 'install'), '--record', str(tmp_path / 'log')]
    subprocess.run(
        [sys.executable, 'setup.py', *options, '--single-version-externally-managed'],
        cwd=sources,
        env=environment,
        capture_output=True,
        check=True,
    )
    expected = folders[chosen] / 'bin' / 'python3' if chosen in folders else sys.executable
    program = tmp_path / 'install' / 'lib' / 'superpoint_ros' / 'detector'
    assert program.read_text().splitlines()[0] == f'#!{expected}'
