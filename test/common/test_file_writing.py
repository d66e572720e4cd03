# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Files and folders are written completely or not at all."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from superpoint_ros.common.file_writing import (
    check_space,
    check_writable,
    SPARE_SPACE,
    unfinished_folder,
    write_atomically,
)


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
        'from superpoint_ros.common.file_writing import unfinished_folder\n'
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
