# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint export` writes files for other programs and compares their results."""

from __future__ import annotations

from dataclasses import replace
import sys

import pytest
import torch

from superpoint_ros import resources
from superpoint_ros.cli.main import main
from superpoint_ros.export import exporters
from superpoint_ros.model.config import COMPACT, LARGE, PAPER
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata
from superpoint_ros.resources import demo_photographs
from support.small_networks import write_weights


def test_export_writes_a_replacement_for_superpoint_v1(tmp_path, capsys):
    torch.manual_seed(0)
    save_weights(tmp_path / 'paper.safetensors', SuperPoint(PAPER), WeightsMetadata())
    out = tmp_path / 'new' / 'superpoint.pth'
    weights = str(tmp_path / 'paper.safetensors')
    assert main(['export', '--weights', weights, '--out', str(out)]) == 0
    assert 'loads where superpoint_v1.pth does' in capsys.readouterr().out
    assert torch.load(out, weights_only=True)['convDb.weight'].shape == (256, 256, 1, 1)


@pytest.mark.parametrize(
    ('config', 'stated'),
    [(LARGE, 'without the fine part'), (replace(COMPACT, fine_channels=0), 'other widths')],
)
def test_export_states_what_differs_from_the_original_network(config, stated, tmp_path, capsys):
    weights = tmp_path / 'own.safetensors'
    save_weights(weights, SuperPoint(config), WeightsMetadata())
    assert main(['export', '--weights', str(weights), '--out', str(tmp_path / 'x.pth')]) == 0
    assert stated in capsys.readouterr().out


def test_export_compares_a_graph_with_the_detector(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(resources, 'demo_photographs', lambda: demo_photographs()[1:2])
    out = str(tmp_path / 'superpoint.pt')
    options = ['--out', out, '--max-keypoints', '50', '--nms-radius', '40', '--no-subpixel']
    assert main(['export', *options]) == 0
    assert 'of 50 keypoints in 1 photographs equal the Detector' in capsys.readouterr().out
    # Suppression that stops too early finds others.
    assert main(['export', *options, '--rounds', '1']) == 1
    assert '--rounds 1 is too small: suppression is not finished' in capsys.readouterr().err


def test_export_of_untrained_weights_does_not_advise_more_rounds(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(resources, 'demo_photographs', lambda: demo_photographs()[1:2])
    weights = write_weights(tmp_path / 'small.safetensors', seed=1)
    options = ['--weights', str(weights), '--keypoints', 'heatmap']
    assert main(['export', *options, '--out', str(tmp_path / 'x.pt')]) == 1
    said = capsys.readouterr().err
    assert 'unless the weights are hardly trained' in said
    assert '--rounds' not in said


def test_export_writes_a_graph_without_comparison_if_onnxruntime_is_missing(
    tmp_path, capsys, monkeypatch
):
    out = tmp_path / 'small.onnx'
    weights = write_weights(tmp_path / 'small.safetensors', seed=1)
    # Writing the graph takes long, and is tested elsewhere.
    monkeypatch.setattr(exporters, 'write_onnx', lambda path, *_: path.touch())
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    assert main(['export', '--weights', str(weights), '--out', str(out)]) == 0
    said = capsys.readouterr().out
    assert f'{out}: written; not compared, as onnxruntime is not installed' in said
    assert out.is_file()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--out', 'x.tflite'], '--out must end in .pth, .onnx, .pt; got x.tflite'),
        (['--out', 'x.pt', '--rounds', '0'], 'must be at least 1, got 0'),
        (['--out', 'x.pt', '--device', 'tpu'], 'device must be'),
        (['--out', 'x.pt', '--weights', 'none.safetensors'], 'none.safetensors'),
    ],
)
def test_export_reports_wrong_input_in_one_line(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(['export', *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count('\n') == 1
    assert not list(tmp_path.iterdir())
