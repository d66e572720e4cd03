# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""GLB files are found in folders."""

from __future__ import annotations

import pytest

from superpoint_ros.data.scenes.sources import list_glb


def test_glb_files_of_folders_are_found_in_any_case_except_hidden_ones(tmp_path):
    for name in ('b.glb', 'a.GLB', '._b.glb', 'c.txt'):
        (tmp_path / name).touch()
    assert [path.name for path in list_glb([tmp_path])] == ['a.GLB', 'b.glb']


def test_a_broken_link_in_a_folder_of_glb_files_is_named(tmp_path):
    (tmp_path / 'a.glb').touch()
    (tmp_path / 'b.glb').symlink_to('nowhere.glb')
    with pytest.raises(FileNotFoundError, match=r'b\.glb does not exist; name'):
        list_glb([tmp_path])
