# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Networks in int8 are quantised once for each weight file, with photographs, and cached."""

from __future__ import annotations

from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import torch

from superpoint_ros.cli.main import main
from superpoint_ros.engines.engine import create_engine
from superpoint_ros.model.superpoint import COMPACT, SuperPoint, SuperPointConfig
from superpoint_ros.model.weights import save_weights, WeightsMetadata

pytest.importorskip('openvino', reason='OpenVINO is not installed')

import openvino

from superpoint_ros.engines import int8 as quantisation

needs_nncf = pytest.mark.skipif(find_spec('nncf') is None, reason='NNCF is not installed')


def network(seed=0, normalization='none'):
    torch.manual_seed(seed)
    config = SuperPointConfig((8, 8, 16, 16), 16, 16, normalization)
    return SuperPoint(config).eval()


def operations(model):
    return [node.get_type_name() for node in model.get_ordered_ops()]


@needs_nncf
def test_quantisation_covers_all_layers_but_the_last_of_both_heads(photographs):
    quantised = quantisation.quantise(network(), photographs[:2])
    whole = [
        node.get_friendly_name().split('/')[0].removeprefix('__module.')
        for node in quantised.get_ordered_ops()
        if node.get_type_name() == 'Convolution'
        # Quantised weights are integers multiplied by a scale.
        and node.input_value(1).get_node().get_type_name() == 'Constant'
    ]
    assert sorted(whole) == ['convDb', 'convPb']
    assert operations(quantised).count('Convolution') == 12


@needs_nncf
def test_the_first_layer_in_int8_represents_every_gray_level_exactly(photographs):
    # Calibrated with dark images, which would cut off the brightest pixels.
    quantised = quantisation.quantise(network(), [image // 2 for image in photographs[:2]])
    [first] = [node for node in quantised.get_ops() if node.get_friendly_name() == 'conv1a']
    seen = openvino.Model([first.input_value(0)], quantised.get_parameters())
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    [values] = openvino.compile_model(seen, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})(
        levels
    ).values()
    np.testing.assert_allclose(values, levels / 255, atol=1e-6)


@needs_nncf
def test_a_network_is_quantised_once(monkeypatch, cache, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    model = network()
    first = create_engine(model, 'cpu', 'int8')
    assert (first.name, first.precision) == ('openvino', 'int8')
    monkeypatch.setattr(quantisation, 'quantise', None)  # a second time would fail
    # Nor is NNCF needed any more.
    monkeypatch.setattr(quantisation, 'find_spec', lambda name: None)
    again = create_engine(model, 'cpu', 'int8')
    images = torch.randint(0, 256, (1, 1, 32, 40), dtype=torch.uint8)
    assert torch.equal(first.infer(images).logits, again.infer(images).logits)
    assert [path.name for path in (tmp_path / 'superpoint_ros/int8').iterdir()] == [
        quantisation.folder_of(model).name
    ]
    with pytest.raises(ValueError, match='pip install nncf'):
        create_engine(network(seed=1), 'cpu', 'int8')


def test_the_int8_cache_depends_on_the_weights_and_not_on_their_file():
    folder = quantisation.folder_of(network())
    assert quantisation.folder_of(network()) == folder
    assert quantisation.folder_of(network(seed=1)) != folder
    assert quantisation.folder_of(SuperPoint(COMPACT)) != folder
    trained = network(normalization='before_relu')
    assert quantisation.folder_of(trained) == quantisation.folder_of(trained)


def test_int8_needs_openvino():
    with pytest.raises(ValueError, match="int8 needs engine 'openvino'"):
        create_engine(network(), 'cpu', 'int8', 'torch')


@needs_nncf
def test_quantise_command_calibrates_with_the_images_of_a_folder(
    photographs, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    weights = tmp_path / 'w.safetensors'
    save_weights(weights, network(), WeightsMetadata(recipe='random'))
    for index, image in enumerate(photographs[:2]):
        cv2.imwrite(str(tmp_path / f'{index}.png'), image)
    command = ['quantise', '--weights', str(weights), '--images', str(tmp_path)]
    assert main(command) == 0
    folder = quantisation.folder_of(network())
    assert f'quantised with 2 images, kept in {folder}' in capsys.readouterr().out
    assert (folder / 'network.xml').is_file()
    # Again with other images: this replaces the first.
    assert main(command[:3]) == 0
    assert 'quantised with 6 images' in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == ['network.bin', 'network.xml']


def test_quantisation_calibrates_with_a_hundred_evenly_spaced_images(tmp_path):
    paths = [tmp_path / str(index) for index in range(1000)]
    chosen = quantisation.calibration_images(paths)
    assert len(chosen) == 100
    assert (chosen[0], chosen[-1]) == (paths[0], paths[-1])
    assert quantisation.calibration_images(paths[:3]) == paths[:3]
