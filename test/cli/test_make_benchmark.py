# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command superpoint make-benchmark."""

from __future__ import annotations

import pytest

from superpoint_ros.cli.main import main
from superpoint_ros.data.hpatches import list_homography_sequences
from support.noise_pictures import write_pictures


def test_make_benchmark_command_makes_a_benchmark_and_prints_where(tmp_path, capsys):
    folder, out = tmp_path / 'photographs', tmp_path / 'bench'
    folder.mkdir()
    write_pictures(folder)
    arguments = ['make-benchmark', str(folder), '--out', str(out), '--viewpoint', '1']
    assert main([*arguments, '--illumination', '1', '--pairs', '1']) == 0
    said = capsys.readouterr().out
    assert said.startswith('1 viewpoint and 1 illumination sequences of 1 pair: see')
    assert len(list_homography_sequences(out)) == 2
    with pytest.raises(SystemExit):
        main([*arguments, '--pairs', '0'])
    assert 'pairs must be at least 1, got 0' in capsys.readouterr().err
    nothing = ['--viewpoint', '0', '--illumination', '0']
    assert main(['make-benchmark', str(folder), '--out', str(tmp_path / 'no'), *nothing]) == 2
    assert 'close_ups are all 0: there is nothing to make' in capsys.readouterr().err
    assert not (tmp_path / 'no').exists()
