# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""TensorRT engines of the exported graph find what the Detector finds; needs a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.export.check import features_of, open_tensorrt
from superpoint_ros.export.exporters import write_onnx
from superpoint_ros.export.graph import DetectorGraph
from superpoint_ros.model.weights import load_weights
from superpoint_ros.resources import default_weights, demo_photographs

SETTINGS = DetectionSettings(max_keypoints=300, min_contrast=0)


@pytest.fixture(scope='module', params=['float32', 'float16'])
def engine(request, tmp_path_factory):
    """The path of an engine for images of up to 640x480 pixels, and its precision."""
    tensorrt = pytest.importorskip('tensorrt', reason='TensorRT is not installed')
    if not torch.cuda.is_available():
        pytest.skip('there is no CUDA device')
    for name in ('onnx', 'onnxscript'):
        pytest.importorskip(name, reason=f'{name} is not installed')
    folder = tmp_path_factory.mktemp('tensorrt')
    model, metadata = load_weights(default_weights())
    write_onnx(folder / 'graph.onnx', DetectorGraph(model, SETTINGS), metadata, 'float32')
    builder = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, tensorrt.Logger(tensorrt.Logger.ERROR))
    assert parser.parse_from_file(str(folder / 'graph.onnx'))
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape('image', (1, 1, 16, 16), (1, 1, 240, 320), (2, 1, 480, 640))
    config.add_optimization_profile(profile)
    if request.param == 'float16':
        config.set_flag(tensorrt.BuilderFlag.FP16)
    else:
        config.clear_flag(tensorrt.BuilderFlag.TF32)
    path = folder / 'graph.engine'
    path.write_bytes(builder.build_serialized_network(network, config))
    return path, request.param


def test_a_tensorrt_engine_finds_what_the_detector_finds(engine):
    path, precision = engine
    run = open_tensorrt(path)
    detector = Detector.from_model(
        load_weights(default_weights())[0], device='cpu', **vars(SETTINGS)
    )
    lost, total, cosines = 0, 0, []
    for photograph in demo_photographs():
        image = read_image(photograph)[:301, :417].copy()
        found = features_of(run(image[None, None], SETTINGS.threshold))
        expected = detector(image)
        distance = np.linalg.norm(expected.keypoints[:, None] - found.keypoints[None], axis=2)
        same, nearest = distance.min(axis=1) < 1, distance.argmin(axis=1)
        lost += (~same).sum()
        total += len(expected)
        cosines.append((expected.descriptors[same] * found.descriptors[nearest[same]]).sum(axis=1))
    # The tolerances of CUDA in the same precision.
    most_lost, least_cosine = {'float32': (0.005, 0.9999), 'float16': (0.02, 0.9995)}[precision]
    assert total > 300
    assert lost <= most_lost * total
    assert np.concatenate(cosines).mean() >= least_cosine


def test_a_file_that_is_not_a_tensorrt_engine_is_named_in_the_error(tmp_path):
    pytest.importorskip('tensorrt', reason='TensorRT is not installed')
    (tmp_path / 'no.engine').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='no.engine is not an engine for TensorRT'):
        open_tensorrt(tmp_path / 'no.engine')
