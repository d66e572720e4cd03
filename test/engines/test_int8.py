# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Networks run in int8 with activation ranges from their weight file, without other packages."""

from __future__ import annotations

from dataclasses import replace
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.cli.main import main
from superpoint_ros.model.config import PAPER, SuperPointConfig
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import load_weights, read_weights, save_weights, WeightsMetadata
from superpoint_ros.resources import find_weights, share_directory

pytest.importorskip('openvino', reason='OpenVINO is not installed')

import openvino

from superpoint_ros.engines import int8, openvino_engine
from support.engines import cpu_engine

SHIPPED = sorted((share_directory() / 'models').glob('*.safetensors'))
RANGES = dict.fromkeys(PAPER.hidden, (0.0, 4.0))


def network(seed=0, **changes):
    torch.manual_seed(seed)
    config = SuperPointConfig((8, 8, 16, 16), 16, 16, **changes)
    return NetworkArrays.of(SuperPoint(config).eval())


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_have_activation_ranges(path):
    network, _ = read_weights(path)
    ranges = network.ranges
    assert list(ranges) == network.config.hidden
    assert all(low == 0 < high < 100 for low, high in ranges.values())


@pytest.mark.parametrize(
    ('fast', 'ranges', 'precision'),
    [(True, RANGES, 'int8'), (True, None, 'bfloat16'), (False, RANGES, 'bfloat16')],
)
def test_precision_auto_is_int8_if_it_is_fast_and_calibrated(monkeypatch, fast, ranges, precision):
    monkeypatch.setattr('superpoint_ros.engines.engine.has_fast_int8', lambda: fast)
    monkeypatch.setattr(openvino_engine, 'openvino_has_bfloat16', lambda: True)
    engine = cpu_engine(replace(network(), ranges=ranges), engine='openvino')
    assert engine.precision == precision


@pytest.mark.parametrize(
    ('flags', 'fast'),
    [
        ('sse4_2 avx2 avx512_vnni', True),
        ('avx2 avx_vnni', True),
        ('avx2 avx512f avx512_bf16', False),
    ],
)
def test_int8_is_fast_with_instructions_for_it(monkeypatch, flags, fast):
    from superpoint_ros.engines import processor

    monkeypatch.setattr(processor, 'cpu_flags', lambda: frozenset(flags.split()))
    assert processor.has_fast_int8() == fast


def test_quantisation_covers_all_layers_but_the_last_of_both_heads():
    quantised = int8.quantise(replace(network(), ranges=RANGES))
    convolutions = [
        node for node in quantised.get_ordered_ops() if node.get_type_name() == 'Convolution'
    ]
    whole = [
        node.get_friendly_name()
        for node in convolutions
        # Quantised weights are integers multiplied by a scale.
        if node.input_value(1).get_node().get_type_name() == 'Constant'
    ]
    assert sorted(whole) == ['convDb', 'convPb']
    assert len(convolutions) == 12


@pytest.mark.parametrize('has_bfloat16', [False, True])
def test_outputs_of_layers_are_rounded_within_the_ranges_of_the_network(monkeypatch, has_bfloat16):
    monkeypatch.setattr(int8, 'openvino_has_bfloat16', lambda: has_bfloat16)
    quantised = int8.quantise(replace(network(), ranges=RANGES))
    ends = [
        [node.input_value(i).get_node().get_data().item() for i in range(1, 5)]
        for node in quantised.get_ordered_ops()
        if node.get_type_name() == 'FakeQuantize'
    ]
    # The image, and all layers but those before the last ones of both heads.
    assert ends == [[0, 1, 0, 1]] + [[0, 4, 0, 4]] * (len(PAPER.hidden) - 2)


def test_the_first_layer_in_int8_represents_every_gray_level_exactly():
    quantised = int8.quantise(replace(network(), ranges=dict.fromkeys(PAPER.hidden, (0.0, 0.5))))
    [first] = [node for node in quantised.get_ops() if node.get_friendly_name() == 'conv1a']
    seen = openvino.Model([first.input_value(0)], quantised.get_parameters())
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    [values] = openvino.compile_model(seen, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})(
        levels
    ).values()
    np.testing.assert_allclose(values, levels / 255, atol=1e-6)


def test_calibration_measures_the_outputs_of_the_layers(photographs):
    model = SuperPoint(SuperPointConfig((8, 8, 16, 16), 16, 16)).eval()
    images = [image[:240, :320] for image in photographs[:2]]
    outputs = {name: [] for name in PAPER.hidden}
    for name in PAPER.hidden:
        getattr(model, name).register_forward_hook(
            lambda layer, x, y, name=name: outputs[name].append(y.clamp(min=0).numpy())
        )
    with torch.no_grad():
        for image in images:
            model(torch.from_numpy(image / np.float32(255))[None, None])
    ranges = int8.calibrate(NetworkArrays.of(model), images)
    for name in PAPER.hidden:
        highest = np.mean([each.max() for each in outputs[name]])
        lowest = np.mean([each.min() for each in outputs[name]])
        assert ranges[name] == pytest.approx((lowest, highest), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize('layers', [{}, {'stage_layers': (1, 1, 2, 3), 'downsampling': 'stride'}])
def test_networks_without_ranges_are_calibrated_with_the_shipped_photographs(layers):
    engine = cpu_engine(network(**layers), 'int8')
    images = torch.randint(0, 256, (1, 1, 32, 40), dtype=torch.uint8)
    found = engine.infer(images).logits
    expected = cpu_engine(network(**layers), 'float32', 'torch').infer(images).logits
    assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.98


def test_networks_with_batch_norm_after_relu_run_in_int8():
    after = network(normalization='after_relu')
    images = torch.randint(0, 256, (1, 1, 32, 40), dtype=torch.uint8)
    found = cpu_engine(after, 'int8').infer(images).logits
    expected = cpu_engine(after, 'float32', 'torch').infer(images).logits
    assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.98


def test_int8_needs_openvino():
    with pytest.raises(ValueError, match="int8 needs engine 'openvino'"):
        cpu_engine(network(), 'int8', 'torch')


def test_int8_needs_neither_nncf_nor_torch():
    code = (
        'import sys; sys.modules["nncf"] = sys.modules["torch"] = None\n'
        'from superpoint_ros import Detector\n'
        'import numpy as np\n'
        'detector = Detector.from_weights(precision="int8")\n'
        'print(len(detector(np.eye(64, dtype=np.uint8) * 255)))'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) > 0


def test_quantise_command_stores_ranges_in_the_weight_file(photographs, tmp_path, capsys):
    weights, out = tmp_path / 'w.safetensors', tmp_path / 'out.safetensors'
    metadata = WeightsMetadata(recipe='random', licence='CC0')
    save_weights(weights, network(), metadata)
    for index, image in enumerate(photographs[:2]):
        cv2.imwrite(str(tmp_path / f'{index}.png'), image)
    command = ['quantise', '--weights', str(weights)]
    assert main([*command, '--images', str(tmp_path), '--out', str(out)]) == 0
    assert f'{out}: activation ranges of 2 images' in capsys.readouterr().out
    assert read_weights(weights)[0].ranges is None
    found, kept = read_weights(out)
    assert kept == metadata
    assert found.ranges == int8.calibrate(network(), photographs[:2])
    for name, array in network().arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    # Without --out and --images: into the file itself, with the photographs of the package.
    assert main(command) == 0
    assert f'{weights}: activation ranges of 6 images' in capsys.readouterr().out
    assert list(read_weights(weights)[0].ranges) == PAPER.hidden
    load_weights(weights)


def test_quantise_takes_the_name_of_shipped_weights_with_another_file_for_the_result(
    photographs, tmp_path, capsys
):
    cv2.imwrite(str(tmp_path / 'a.png'), photographs[0])
    command = ['quantise', '--weights', 'superpoint_nano', '--images', str(tmp_path)]
    assert main([*command, '--out', str(tmp_path / 'out.safetensors')]) == 0
    shipped = read_weights(find_weights('superpoint_nano'))[0]
    assert read_weights(tmp_path / 'out.safetensors')[0].arrays.keys() == shipped.arrays.keys()
    assert main(command) == 2
    assert 'give --out, not superpoint_nano' in capsys.readouterr().err


def test_quantise_names_a_weight_file_that_cannot_be_written_before_it_measures(
    tmp_path, capsys, monkeypatch
):
    def refuse(folder):
        raise PermissionError(13, 'Permission denied', str(folder))

    monkeypatch.setattr('superpoint_ros.cli.options.check_writable', refuse)
    monkeypatch.setattr('superpoint_ros.engines.int8.store_ranges', None)
    assert main(['quantise', '--weights', str(tmp_path / 'w.safetensors')]) == 1
    assert capsys.readouterr().err == f'superpoint: {tmp_path}: Permission denied\n'


def test_quantise_command_skips_photographs_that_cannot_be_read(photographs, tmp_path, capsys):
    weights = tmp_path / 'w.safetensors'
    save_weights(weights, network(), WeightsMetadata())
    command = ['quantise', '--weights', str(weights), '--images', str(tmp_path)]
    (tmp_path / 'damaged.png').write_bytes(b'\x89PNG')
    assert main(command) == 2
    assert 'none of the images could be read (1 skipped): ' in capsys.readouterr().err
    cv2.imwrite(str(tmp_path / 'good.png'), photographs[0])
    assert main(command) == 1
    printed = capsys.readouterr()
    assert f'{weights}: activation ranges of 1 image\n' in printed.out
    assert 'damaged.png cannot be read as an image' in printed.err
    assert read_weights(weights)[0].ranges == int8.calibrate(network(), photographs[:1])


@pytest.mark.parametrize('text', ['{"conv1a": [0, 1]}', '{}', '[1]', 'x', 'null'])
def test_damaged_ranges_are_an_error_that_names_the_file(tmp_path, text):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / 'w.safetensors'
    save_weights(path, network(), WeightsMetadata())
    with safe_open(path, framework='np') as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        texts = {**file.metadata(), 'activation_ranges': text}
    save_file(arrays, path, metadata=texts)
    with pytest.raises(ValueError, match=f'{path} has metadata that cannot be read'):
        Detector.from_weights(path)


@pytest.mark.parametrize('limits', [(1, 0), (2, 2), (0, float('inf'))])
def test_ranges_that_are_empty_or_not_finite_are_an_error_that_names_the_layer(tmp_path, limits):
    ranges = dict.fromkeys(network().config.hidden, (0.0, 1.0)) | {'conv2a': limits}
    save_weights(tmp_path / 'w.safetensors', replace(network(), ranges=ranges), WeightsMetadata())
    with pytest.raises(ValueError, match=r'w\.safetensors has .* range of conv2a is'):
        Detector.from_weights(tmp_path / 'w.safetensors')


def test_quantise_refuses_to_write_ranges_into_other_formats(tmp_path, capsys):
    assert main(['quantise', '--weights', str(tmp_path / 'superpoint_v1.pth')]) == 2
    assert 'give --out, not superpoint_v1.pth' in capsys.readouterr().err


def test_calibration_needs_an_image():
    with pytest.raises(ValueError, match='at least one image'):
        int8.calibrate(network(), [])
