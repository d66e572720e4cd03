# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Where an installed package finds its files."""

import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

import superpoint_ros
from superpoint_ros.resources import find_weights, share_directory
from support.closed_folder import closed_folder

SOURCE = Path(superpoint_ros.__file__).resolve().parent


def copy_package(package: Path) -> Path:
    """Return the folder `package`, which gets the modules that `share_directory` needs."""
    (package / 'common').mkdir(parents=True)
    for name in ('__init__.py', 'resources.py', 'common/__init__.py', 'common/file_reading.py'):
        shutil.copy(SOURCE / name, package / name)
    return package


def share_directory_of(package: Path) -> str:
    """Return the share directory, or the error, of a program that runs a copied package."""
    program = 'from superpoint_ros.resources import share_directory; print(share_directory())'
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
def test_an_installed_package_finds_its_share_directory_in_its_prefix(tmp_path, library):
    package = copy_package(tmp_path / library / 'superpoint_ros')
    share = tmp_path / 'share' / 'superpoint_ros'
    (share / 'models').mkdir(parents=True)
    (share / 'package.xml').touch()
    assert share_directory_of(package) == str(share)


def test_a_package_without_a_share_directory_asks_for_a_new_installation(tmp_path):
    package = copy_package(tmp_path / 'superpoint_ros')
    assert 'reinstall the package' in share_directory_of(package)


def test_the_share_directory_has_models_parameter_files_and_launch_files():
    for name in ('models', 'config', 'launch'):
        assert (share_directory() / name).is_dir()


def test_weight_files_of_the_package_are_found_by_name(tmp_path, monkeypatch):
    shipped = share_directory() / 'models'
    assert find_weights() == find_weights('') == shipped / 'superpoint_compact.safetensors'
    assert find_weights('superpoint_nano') == shipped / 'superpoint_nano.safetensors'
    with pytest.raises(FileNotFoundError, match=r'no weight file tiny; .* superpoint, .*_small'):
        find_weights('tiny')
    # Paths are not looked up: reading them says whether they exist.
    for given in ('runs/superpoint', 'superpoint.safetensors', './superpoint_nano.pth'):
        assert find_weights(given) == Path(given)
    monkeypatch.chdir(tmp_path)
    for folder in ('superpoint', 'tiny'):  # the first as the environment of the README
        (tmp_path / folder).mkdir()
    assert find_weights('superpoint') == shipped / 'superpoint.safetensors'
    assert find_weights('tiny') == Path('tiny')
    (tmp_path / 'superpoint_nano').touch()
    assert find_weights('superpoint_nano') == Path('superpoint_nano')


IN_CLOSED_FOLDER = """
from pathlib import Path

from superpoint_ros.data.sequences.opening import open_sequence
from superpoint_ros.resources import find_weights

try:
    Path('anything').exists()
except PermissionError:
    print('closed')
print(find_weights('superpoint_nano').name)
try:
    open_sequence('987')
except ValueError as error:
    print(error)
"""


def test_a_working_directory_that_must_not_be_searched_is_no_obstacle(tmp_path):
    with closed_folder(tmp_path) as options:
        done = subprocess.run(
            [sys.executable, '-c', IN_CLOSED_FOLDER],
            env={**os.environ, 'PYTHONPATH': str(SOURCE.parent)},
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
    assert done.stdout.splitlines()[:2] == ['closed', 'superpoint_nano.safetensors'], done.stderr
    assert '987' in done.stdout.splitlines()[2], done.stderr
