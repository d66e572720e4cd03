# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path
import shutil
import subprocess
import sys

import pytest

import superpoint_ros
from superpoint_ros.files import share_directory

SOURCE = Path(superpoint_ros.__file__).resolve().parent


def share_as_seen_from(package: Path) -> str:
    """Return what share_directory says to a program that runs the copied package."""
    program = 'from superpoint_ros.files import share_directory; print(share_directory())'
    done = subprocess.run(
        [sys.executable, '-c', program],
        cwd=package.parent,
        env={'PYTHONPATH': str(package.parent), 'PATH': ''},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize('library', ['lib/python3.11/site-packages', 'local/lib/python3.12/dist'])
def test_an_installed_package_finds_the_prefix_it_is_in(tmp_path, library):
    package = tmp_path / library / 'superpoint_ros'
    package.mkdir(parents=True)
    for name in ('__init__.py', 'resources.py'):
        shutil.copy(SOURCE / name, package)
    share = tmp_path / 'share' / 'superpoint_ros'
    (share / 'models').mkdir(parents=True)
    (share / 'package.xml').touch()
    assert share_as_seen_from(package) == str(share)


def test_a_package_without_its_files_says_so(tmp_path):
    package = tmp_path / 'superpoint_ros'
    package.mkdir()
    for name in ('__init__.py', 'resources.py'):
        shutil.copy(SOURCE / name, package)
    assert 'install the package anew' in share_as_seen_from(package)


def test_the_directory_holds_what_a_node_needs():
    for name in ('models', 'config', 'launch'):
        assert (share_directory() / name).is_dir()
