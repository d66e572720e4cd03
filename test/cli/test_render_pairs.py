# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint render-pairs` writes a folder, continues it, and reports errors of scenes."""

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import main
from superpoint_ros.data.scenes.pair_cache import list_pairs, PairCache, read_pair
from support.rooms import picture, write_room

pytest.importorskip('embreex', reason="needs the extra 'scenes'")

SMALL = ['--width', '96', '--height', '64', '--posters', '4']


@pytest.fixture
def room(tmp_path):
    return str(write_room(tmp_path / 'room.glb'))


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / 'pictures').mkdir()
    cv2.imwrite(str(tmp_path / 'pictures' / 'a.png'), picture(5))
    return str(tmp_path / 'pictures')


def test_pairs_are_rendered_and_the_same_command_continues(room, tmp_path, capsys):
    out = str(tmp_path / 'pairs')
    assert main(['render-pairs', room, '--out', out, '--pairs', '3', *SMALL]) == 0
    assert '3 pairs: see' in capsys.readouterr().out
    first = [path.read_bytes() for path in list_pairs(out)]
    # Two views of 96x64 side by side, two pairs in a row, two rows with captions.
    assert cv2.imread(f'{out}/pairs.jpg').shape == (2 * (64 + 4 + 18) + 4, 2 * (192 + 4) + 4, 3)
    list_pairs(out)[1].unlink()
    assert main(['render-pairs', room, '--out', out, '--pairs', '4', *SMALL]) == 0
    paths = list_pairs(out)
    assert len(paths) == 4
    again = read_pair(paths[1])
    assert again.scene == 'room'
    assert again.first.image.shape == (64, 96)
    assert [path.read_bytes() for path in paths[:3]] == first


@pytest.mark.parametrize('command', ['render-pairs', 'make-sequence'])
def test_pictures_that_cannot_be_read_are_skipped_and_named(
    room, pictures, tmp_path, capsys, command
):
    bad = Path(pictures, 'bad.png')
    bad.write_bytes(b'no image')
    count = ['--pairs', '1'] if command == 'render-pairs' else ['--frames', '2', '--no-depth']
    words = [command, room, '--pictures', pictures, *count, *SMALL, '--out']
    assert main([*words, str(tmp_path / 'some')]) == 1
    assert f'skipped: {bad} cannot be read as an image' in capsys.readouterr().err
    assert list((tmp_path / 'some').glob('*.jpg'))
    Path(pictures, 'a.png').unlink()
    assert main([*words, str(tmp_path / 'none')]) == 2


def test_objects_become_streets(room, pictures, tmp_path):
    out = str(tmp_path / 'pairs')
    status = main(
        ['render-pairs', '--street', room, '--pictures', pictures, '--out', out]
        + ['--pairs', '2', *SMALL]
    )
    assert status == 0
    assert {read_pair(path).scene for path in list_pairs(out)} == {'street'}


def test_a_folder_of_other_settings_is_refused(room, tmp_path, capsys):
    out = str(tmp_path / 'pairs')
    assert main(['render-pairs', room, '--out', out, '--pairs', '1', *SMALL]) == 0
    assert main(['render-pairs', room, '--out', out, '--seed', '1', *SMALL]) == 2
    assert 'seed is 0 there and 1 here; name another folder' in capsys.readouterr().err


def test_a_change_of_a_scene_with_the_name_of_another_is_noticed(tmp_path, capsys):
    scenes = [str(tmp_path / name / 'room.glb') for name in 'ab']
    for scene in scenes:
        Path(scene).parent.mkdir()
        write_room(Path(scene))
    command = ['render-pairs', *scenes, '--out', str(tmp_path / 'pairs'), '--pairs', '1', *SMALL]
    assert main(command) == 0
    write_room(Path(scenes[0]), textured=False)
    assert main(command) == 2
    assert 'other scenes: a/room.glb has another content there' in capsys.readouterr().err


def test_a_scene_without_textures_needs_pictures(pictures, tmp_path, capsys):
    plain = str(write_room(tmp_path / 'plain.glb', textured=False))
    out = str(tmp_path / 'pairs')
    command = ['render-pairs', plain, '--out', out, '--pairs', '1', *SMALL]
    assert main(command) == 2
    assert 'plain has none: give pictures' in capsys.readouterr().err
    assert main(['render-pairs', plain, '--pictures', pictures, *command[2:]]) == 0
    assert 'plain has no textures: it gets pictures' in capsys.readouterr().err


def test_a_missing_scene_an_empty_folder_and_no_scene_are_named(tmp_path, capsys):
    out = str(tmp_path / 'pairs')
    assert main(['render-pairs', str(tmp_path / 'no.glb'), '--out', out]) == 2
    assert 'no.glb does not exist' in capsys.readouterr().err
    (tmp_path / 'empty').mkdir()
    assert main(['render-pairs', str(tmp_path / 'empty'), '--out', out]) == 2
    assert 'empty contains no .glb files' in capsys.readouterr().err
    assert main(['render-pairs', '--out', out]) == 2
    assert 'name .glb files of scenes' in capsys.readouterr().err


def test_at_least_one_pair_must_be_rendered(room, tmp_path, capsys):
    assert main(['render-pairs', room, '--out', str(tmp_path / 'pairs'), '--pairs', '0']) == 2
    assert '--pairs must be 1 or more, got 0' in capsys.readouterr().err
    assert not (tmp_path / 'pairs').exists()


@pytest.mark.parametrize('size', ['63', '8193'])
def test_images_that_are_too_small_or_too_large_are_refused(room, tmp_path, capsys, size):
    with pytest.raises(SystemExit) as stop:
        main(['render-pairs', room, '--out', str(tmp_path), '--height', size])
    assert stop.value.code == 2
    assert f'height must lie between 64 and 8192, got {size}' in capsys.readouterr().err


def test_views_that_cannot_overlap_are_reported(room, tmp_path, capsys):
    command = ['render-pairs', room, '--out', str(tmp_path / 'pairs'), '--pairs', '1', *SMALL]
    assert main([*command, '--min-overlap', '0.999', '--min-baseline', '0.6']) == 2
    assert 'allow a smaller --min-overlap' in capsys.readouterr().err


def test_a_full_disk_ends_the_command_and_nothing_is_lost(room, tmp_path, capsys, monkeypatch):
    out = str(tmp_path / 'pairs')
    command = ['render-pairs', room, '--out', out, '--pairs', '3', *SMALL]
    write = PairCache.write

    def full(self, number, pair):
        if number == 2:
            raise OSError(errno.ENOSPC, 'No space left on device')
        write(self, number, pair)

    monkeypatch.setattr(PairCache, 'write', full)
    assert main(command) == 1
    error = capsys.readouterr().err
    assert 'No space left on device; complete: 2 pairs; the same command' in error
    assert 'continues when there is space again' in error
    monkeypatch.setattr(PairCache, 'write', write)
    assert main(command) == 0
    assert len(list_pairs(out)) == 3
    assert np.isfinite(read_pair(list_pairs(out)[2]).pose).all()
