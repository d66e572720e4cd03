# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Folders, texts, and sources some of which cannot be read."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

import superpoint_ros
from superpoint_ros.common.file_reading import read_each, read_text
from support.closed_folder import closed_folder

SOURCE_TREE = Path(superpoint_ros.__file__).resolve().parents[1]


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


READ_NEXT_TO_CLOSED_FOLDER = """
import logging, sys
from pathlib import Path
from superpoint_ros.data.sequences.image_files import list_images
from superpoint_ros.data.sequences.opening import list_sequences
from superpoint_ros.common.file_reading import walk_folders
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
            env={**os.environ, 'PYTHONPATH': str(SOURCE_TREE)},
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
