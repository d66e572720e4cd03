# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Commands do not write over what they read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import main
from superpoint_ros.export.exporters import write_pth
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint

CONFIG = SuperPointConfig(stage_channels=(4, 4, 4, 8), head_channels=8, descriptor_size=8)


@pytest.fixture
def photos(tmp_path):
    """Return a folder of pictures with the names of results."""
    for name in (
        '4_heatmap.png',
        'labels.png',
        'pairs.jpg',
        'frames.png',
        'threshold.png',
        'keypoints.jpg',
    ):
        picture = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / name), picture)
    return tmp_path


@pytest.mark.parametrize(
    'arguments',
    [
        'explain {0}/4_heatmap.png --out {0}',
        'adapt {0} --out {0}/.',
        'export --weights {0}/w.pth --out {0}/w.pth',
        'benchmark --images {0} --out {0}',
        'render-pairs scene.glb --pictures {0} --out {0} --pairs 1',
        'make-sequence scene.glb --pictures {0} --out {0}',
        'evaluate threshold {0} --out {0}',
        'train superpoint --recipe repeatability --images {0} --out {0}',
        'train superpoint --recipe repeatability --images elsewhere --out {0} '
        '--start {0}/weights.safetensors',
        'demo {0} --output {0}',
        'demo {0}/keypoints.jpg --output {0}',
    ],
)
def test_a_command_refuses_to_write_over_its_input(photos, arguments, capsys):
    if arguments.startswith(('render-pairs', 'make-sequence')):
        pytest.importorskip('embreex')
    if arguments.startswith('adapt'):
        pytest.importorskip('jsonargparse')
    if arguments.startswith('train'):
        pytest.importorskip('lightning')
    if arguments.startswith(('benchmark', 'evaluate')):
        pytest.importorskip('matplotlib')
    write_pth(photos / 'w.pth', SuperPoint(CONFIG))
    before = {path: path.read_bytes() for path in photos.iterdir()}
    assert main(arguments.format(photos).split()) == 2
    assert 'the results would replace the input' in capsys.readouterr().err
    assert {path: path.read_bytes() for path in photos.iterdir()} == before
