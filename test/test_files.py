# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Atomic writing, and where an installed package finds its files."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

import superpoint_ros
from superpoint_ros.files import (
    check_space,
    check_writable,
    find_weights,
    read_each,
    read_text,
    share_directory,
    SPARE_SPACE,
    unfinished_folder,
    write_atomically,
)
from support.closed_folder import closed_folder

SOURCE = Path(superpoint_ros.__file__).resolve().parent


def copy_package(package: Path) -> Path:
    """Return the folder `package`, which gets the modules that `share_directory` needs."""
    package.mkdir(parents=True)
    for name in ('__init__.py', 'files.py'):
        shutil.copy(SOURCE / name, package)
    return package


def share_directory_of(package: Path) -> str:
    """Return the share directory, or the error, of a program that runs a copied package."""
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


def test_write_atomically_replaces_a_file_and_creates_its_folder(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'file'
    write_atomically(path, b'first')
    write_atomically(path, b'second')
    assert path.read_bytes() == b'second'
    assert [each.name for each in path.parent.iterdir()] == ['file']


def test_a_failed_write_leaves_the_previous_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    write_atomically(path, b'first')

    def full_disk(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full_disk)
    with pytest.raises(OSError, match='No space left.*file') as error:
        write_atomically(path, b'second')
    assert error.value.filename == str(path)
    assert path.read_bytes() == b'first'
    assert list(tmp_path.iterdir()) == [path]


def interrupted_write(path, moment):
    """Write a file, interrupted before line number `moment` that runs; return whether it was."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == 'line'
        if count > moment:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        write_atomically(path, b'new')
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interruption_at_any_moment_leaves_no_unfinished_file(tmp_path):
    path, moment = tmp_path / 'folder' / 'file', 0
    while interrupted_write(path, moment):
        assert not list(tmp_path.glob('**/.*')), f'moment {moment}'
        moment += 1
    assert moment > 10
    assert path.read_bytes() == b'new'


@pytest.mark.parametrize('mask', [0o077, 0o022, 0o002])
def test_the_user_decides_who_may_read_results(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / 'file', b'')
    finally:
        os.umask(before)
    assert (tmp_path / 'file').stat().st_mode & 0o777 == 0o666 & ~mask


def test_an_unfinished_result_of_another_process_is_kept_and_one_that_was_killed_deleted(tmp_path):
    path = tmp_path / 'result'
    program = (
        'import sys; from pathlib import Path\n'
        'from superpoint_ros.files import unfinished_folder\n'
        f'with unfinished_folder(Path({str(path)!r})) as folder:\n'
        '    (folder / "part").touch(); print("made", flush=True); sys.stdin.read()'
    )
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
    with subprocess.Popen([sys.executable, '-c', program], **pipes) as other:
        assert other.stdout.readline() == b'made\n'
        with (
            pytest.raises(ValueError, match='another process writes .*result: wait until it ends'),
            unfinished_folder(path),
        ):
            pass
        assert len(list(tmp_path.rglob('part'))) == 1
        other.kill()
    with unfinished_folder(path) as folder:
        assert not list(folder.iterdir())
        (folder / 'result').write_text('complete')
        (folder / 'result').rename(path)
    assert [each.name for each in tmp_path.iterdir()] == ['result']


def test_an_error_of_an_unfinished_result_names_its_final_place(tmp_path):
    with (
        pytest.raises(FileNotFoundError) as error,
        unfinished_folder(tmp_path / 'a') as folder,
    ):
        (folder / 'b').read_bytes()
    assert error.value.filename == str(tmp_path / 'b')
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_a_result_is_named_and_kept(tmp_path):
    (tmp_path / 'file.csv').mkdir()
    with pytest.raises(IsADirectoryError, match='file.csv is a folder: name a file'):
        write_atomically(tmp_path / 'file.csv', b'')
    assert [each.name for each in tmp_path.iterdir()] == ['file.csv']


def test_a_text_is_read_without_the_mark_of_utf_8_and_another_file_is_named(tmp_path):
    path = tmp_path / 'text'
    path.write_text('\ufeffgrün', encoding='utf-8')
    assert read_text(path) == 'grün'
    path.write_text('grün', encoding='latin-1')
    with pytest.raises(ValueError, match='text is not a text file in UTF-8'):
        read_text(path)


def test_sources_that_cannot_be_read_are_skipped_and_named(caplog):
    skipped = []
    assert list(read_each(int, ['1', 'two', '3', 'four'], skipped)) == [1, 3]
    assert skipped == ['two', 'four']
    assert [record.getMessage()[:29] for record in caplog.records] == [
        'skipped: invalid literal for '
    ] * 2
    assert list(read_each(int, [])) == []


def test_sources_none_of_which_can_be_read_are_an_error():
    with pytest.raises(
        ValueError, match=r"none of the numbers could be read \(2 skipped\): .*'b'"
    ):
        list(read_each(int, ['a', 'b'], kind='numbers'))
    with pytest.raises(
        FileNotFoundError, match=r'none of the images could be read \(1 skipped\): .*missing'
    ):
        list(read_each(Path.read_bytes, [Path('missing')]))


def test_a_path_that_cannot_be_written_is_named_and_one_that_can_leaves_no_trace(tmp_path):
    check_writable(tmp_path / 'new' / 'folder')
    assert not list(tmp_path.iterdir())
    (tmp_path / 'file').touch()
    with pytest.raises(NotADirectoryError, match='file is a file: a folder is needed there'):
        check_writable(tmp_path / 'file' / 'folder')
    with pytest.raises(OSError, match="'/proc'"):  # where nobody can make files, not even root
        check_writable(Path('/proc/folder'))


def test_some_space_on_the_disk_remains_free(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: SimpleNamespace(free=10_000_000))
    check_space(tmp_path / 'database', 10_000_000 - SPARE_SPACE)
    with pytest.raises(OSError, match='No space left on device: 10.1 MB are needed') as caught:
        check_space(tmp_path / 'database', 10_100_000 - SPARE_SPACE)
    assert caught.value.filename == str(tmp_path / 'database')


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
from superpoint_ros.files import find_weights

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


READ_NEXT_TO_CLOSED_FOLDER = """
import logging, sys
from pathlib import Path
from superpoint_ros.data.sequences.image_files import list_images
from superpoint_ros.data.sequences.opening import list_sequences
from superpoint_ros.files import walk_folders
from superpoint_ros.integrations.image_matches import list_collection
logging.basicConfig(format='%(message)s', stream=sys.stdout)
root = Path(sys.argv[1])
print([path.name for path in walk_folders(root)])
print([path.name for path in list_images(root)])
print([path.name for path in list_sequences(root)])
print(list_collection(root))
"""


def test_folders_that_must_not_be_read_are_left_out_and_named(tmp_path):
    disk = tmp_path / 'disk'
    for name in ('lost+found', 'b', 'a/c', '.hidden'):
        (disk / name).mkdir(parents=True)
    (disk / 'a' / 'back').symlink_to(disk)
    for name in ('0.png', 'a/1.png', 'a/c/d.mcap'):
        (disk / name).touch()
    (disk / 'closed.png').symlink_to(disk / 'lost+found' / 'secret.png')
    with closed_folder(disk / 'lost+found') as options:
        done = subprocess.run(
            [sys.executable, '-c', READ_NEXT_TO_CLOSED_FOLDER, str(disk)],
            env={**os.environ, 'PYTHONPATH': str(SOURCE.parent)},
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
    closed = f'left out: there is no permission to read the folder {disk}/lost+found'
    link = f'links to missing or closed files in {disk} left out: 1, the first is closed.png'
    assert done.stdout.splitlines() == [
        *(closed, "['disk', 'a', 'c', 'b']"),
        *(link, "['0.png']"),
        *(closed, "['c']"),
        *(link, closed, "['0.png', 'a/1.png']"),
    ], done.stderr
