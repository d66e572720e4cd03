# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Exported files run in other programs and find what the Detector finds."""

from __future__ import annotations

from dataclasses import replace
import io
import os
import shutil

import numpy as np
import pytest
import torch
from torch import nn
import torch.nn.functional as F

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.export.check import compare, features_of, open_onnx, open_torchscript
from superpoint_ros.export.exporters import write_onnx, write_pth, write_torchscript
from superpoint_ros.export.graph import DetectorGraph
from superpoint_ros.model.config import COMPACT, LARGE, NANO, PAPER
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import load_weights, read_weights, WeightsMetadata
from superpoint_ros.resources import default_weights, demo_photographs

SETTINGS = DetectionSettings(max_keypoints=300, min_contrast=0)
METADATA = WeightsMetadata(recipe='a recipe', licence='Apache-2.0')


class OriginalNetwork(nn.Module):
    """The network as in programs for superpoint_v1.pth: their layers and forward pass."""

    def __init__(self):
        super().__init__()
        channels = {'1a': (1, 64), '1b': (64, 64), '2a': (64, 64), '2b': (64, 64), '3a': (64, 128)}
        channels |= {'3b': (128, 128), '4a': (128, 128), '4b': (128, 128), 'Pa': (128, 256)}
        channels |= {'Da': (128, 256)}
        for name, (incoming, outgoing) in channels.items():
            setattr(self, f'conv{name}', nn.Conv2d(incoming, outgoing, 3, 1, 1))
        self.convPb, self.convDb = nn.Conv2d(256, 65, 1), nn.Conv2d(256, 256, 1)

    def forward(self, x):
        x = F.relu(self.conv1b(F.relu(self.conv1a(x))))
        x = F.relu(self.conv2b(F.relu(self.conv2a(F.max_pool2d(x, 2)))))
        x = F.relu(self.conv3b(F.relu(self.conv3a(F.max_pool2d(x, 2)))))
        x = F.relu(self.conv4b(F.relu(self.conv4a(F.max_pool2d(x, 2)))))
        return self.convPb(F.relu(self.convPa(x))), self.convDb(F.relu(self.convDa(x)))


@pytest.fixture(scope='module')
def detector():
    """Return the shipped detector."""
    return Detector.from_model(load_weights(default_weights())[0], device='cpu', **vars(SETTINGS))


@pytest.fixture(scope='module')
def graph():
    """Return the graph of the shipped weights."""
    return DetectorGraph(load_weights(default_weights())[0], SETTINGS)


@pytest.fixture(scope='module')
def onnx_file(graph, tmp_path_factory):
    """Return the path of the graph as an ONNX file, which takes long to write."""
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name, reason=f'{name} is not installed')
    path = tmp_path_factory.mktemp('onnx') / 'superpoint.onnx'
    write_onnx(path, graph, METADATA)
    return path


def photographs():
    """Return the shipped photographs, cropped to odd sizes."""
    return [
        read_image(path)[: 300 + 7 * i, : 403 + i] for i, path in enumerate(demo_photographs())
    ]


@pytest.mark.parametrize('config', [PAPER, replace(PAPER, normalization='before_relu'), LARGE])
def test_exported_paper_weights_load_in_programs_for_the_original(config, tmp_path):
    torch.manual_seed(0)
    model = SuperPoint(config).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    write_pth(tmp_path / 'superpoint.pth', model)
    original = OriginalNetwork().eval()
    # The fine part of a large network is left out.
    state = torch.load(tmp_path / 'superpoint.pth', weights_only=True)
    original.load_state_dict(state, strict=True)
    image = torch.rand(1, 1, 32, 40)
    with torch.no_grad():
        logits, descriptors = original(image)
        expected = model(image)
    assert torch.allclose(logits, expected.logits, atol=1e-4)
    assert torch.allclose(descriptors, expected.descriptors, atol=1e-4)


def test_exported_compact_weights_load_unchanged(tmp_path):
    torch.manual_seed(0)
    config = replace(COMPACT, fine_channels=0)
    model = SuperPoint(config).eval()
    write_pth(tmp_path / 'compact.pth', model)
    back, _ = load_weights(tmp_path / 'compact.pth')
    assert back.config == config
    for name, value in back.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (NANO, r'this network has \(1, 1, 1, 2\) layers with stride'),
        (replace(PAPER, downsampling='stride'), r'has \(2, 2, 2, 2\) layers with stride'),
        (COMPACT, 'expect .* and no fine descriptors; this network has .* with pooling and fine'),
        (replace(COMPACT, normalization='after_relu'), 'cannot be folded exactly'),
    ],
)
def test_networks_of_another_form_have_no_pth_file(tmp_path, config, message):
    with pytest.raises(ValueError, match=message):
        write_pth(tmp_path / 'no.pth', SuperPoint(config))
    assert not (tmp_path / 'no.pth').exists()


def test_onnx_runtime_finds_what_the_detector_finds(onnx_file, detector, tmp_path):
    path = tmp_path / os.fsdecode(b'superpoint_\xe9.onnx')  # names need not be UTF-8
    shutil.copy(onnx_file, path)
    agreement = compare(open_onnx(path), detector, photographs())
    assert agreement.images == 6
    assert agreement.shared >= 0.995 * agreement.keypoints > 300
    assert agreement.score < 1e-4
    assert agreement.descriptor < 1e-3


def test_the_onnx_file_has_the_network_that_the_onnxruntime_engine_runs(onnx_file):
    import onnx

    from superpoint_ros.engines.onnxruntime_engine import convert

    def kernels(model):
        arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
        inputs = [node.input[1] for node in model.graph.node if node.op_type == 'Conv']
        return [arrays[name].tobytes() for name in inputs if name in arrays]

    ours = kernels(convert(read_weights(default_weights())[0]))
    assert len(ours) == 14
    assert set(kernels(onnx.load(onnx_file))).issuperset(ours)


def test_the_onnx_file_accepts_batches_and_thresholds(onnx_file, detector):
    run = open_onnx(onnx_file)
    images = np.stack([image[:201, :303] for image in photographs()[:3]])
    counts = []
    for threshold in (0.05, 0.01):
        output = run(images[:, None], threshold)
        assert output.keypoints.shape == (3, 300, 2)
        assert output.descriptors.shape == (3, 300, detector.descriptor_size)
        reference = Detector(
            detector.engine,
            detector.descriptor_size,
            DetectionSettings(threshold=threshold, max_keypoints=300),
        )
        for index, image in enumerate(images):
            found = features_of(output, index)
            assert len(found) == len(reference(image))
            counts.append(len(found))
    assert sum(counts[:3]) < sum(counts[3:])
    assert not run(images[:1, None], 1.0).valid.any()


def test_the_onnx_file_describes_its_inputs_outputs_and_settings(onnx_file):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx_file), providers=['CPUExecutionProvider'])
    described = {value.name: (value.type, value.shape) for value in session.get_inputs()}
    assert described == {
        'image': ('tensor(uint8)', ['batch', 1, 'height', 'width']),
        'threshold': ('tensor(float)', [1]),
    }
    outputs = {value.name: (value.type, value.shape) for value in session.get_outputs()}
    size = 128
    assert outputs == {
        'keypoints': ('tensor(float)', ['batch', 300, 2]),
        'scores': ('tensor(float)', ['batch', 300]),
        'descriptors': ('tensor(float)', ['batch', 300, size]),
        'valid': ('tensor(bool)', ['batch', 300]),
    }
    told = session.get_modelmeta().custom_metadata_map
    assert told['image'] == 'uint8 (batch, 1, height, width), 0 to 255'
    assert told['coordinates'].startswith('x, y in pixels')
    assert told['keypoints'] == 'hessian'
    assert (told['nms_radius'], told['threshold'], told['licence']) == ('3', '1e-05', 'Apache-2.0')


@pytest.mark.parametrize('image_type', ['uint8', 'float32'])
def test_torchscript_finds_what_the_detector_finds(image_type, graph, detector, tmp_path):
    path = tmp_path / os.fsdecode(b'superpoint_\xe9.pt')  # names need not be UTF-8
    write_torchscript(path, graph, METADATA, image_type)
    agreement = compare(
        open_torchscript(path, image_type == 'float32'), detector, photographs()[:3]
    )
    assert agreement.keypoints > 100
    assert agreement.holds
    extra = {'description.txt': ''}
    torch.jit.load(io.BytesIO(path.read_bytes()), _extra_files=extra)
    told = bytes(extra['description.txt']).decode().splitlines()
    assert any(line.startswith(f'image: {image_type} (batch, 1, height, width)') for line in told)
    assert 'max_keypoints: 300' in told


def test_export_for_an_unknown_type_of_images_is_refused(graph, tmp_path):
    with pytest.raises(ValueError, match="must be uint8 or float32, got 'float16'"):
        write_torchscript(tmp_path / 'x.pt', graph, METADATA, 'float16')
