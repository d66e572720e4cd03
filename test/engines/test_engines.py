from importlib.util import find_spec
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.engines import create_engine
from superpoint_ros.network import COMPACT, SuperPoint
from superpoint_ros.resources import demo_photographs

needs_openvino = pytest.mark.skipif(
    find_spec('openvino') is None, reason='OpenVINO is not installed'
)

# What an engine may differ from PyTorch in float32: share of keypoints without a counterpart
# within a pixel, mean cosine of the descriptors of those that have one.
TOLERANCES = {
    ('torch', 'float32'): (0.0, 0.99999),
    ('torch', 'bfloat16'): (0.06, 0.995),
    ('openvino', 'float32'): (0.005, 0.9999),
    ('openvino', 'bfloat16'): (0.06, 0.995),
}


@pytest.fixture(scope='module')
def photographs():
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in demo_photographs()]
    return [cv2.resize(image, (322, 241), interpolation=cv2.INTER_AREA) for image in images]


@pytest.fixture(scope='module')
def reference(photographs):
    return Detector.from_weights(device='cpu', precision='float32', engine='torch')(photographs)


@pytest.mark.parametrize(
    ('engine', 'precision'),
    [
        pytest.param(*key, marks=[needs_openvino] if key[0] == 'openvino' else [])
        for key in TOLERANCES
    ],
)
def test_every_engine_finds_the_same(photographs, reference, engine, precision):
    detector = Detector.from_weights(device='cpu', precision=precision, engine=engine)
    assert (detector.engine.name, detector.engine.precision) == (engine, precision)
    lost, cosines, total = 0, [], 0
    for expected, image in zip(reference, photographs, strict=True):
        got = detector(image)
        distance = np.linalg.norm(expected.keypoints[:, None] - got.keypoints[None], axis=2)
        nearest = distance.argmin(axis=1)
        found = distance.min(axis=1) < 1
        lost += (~found).sum()
        total += len(expected)
        cosines.append((expected.descriptors[found] * got.descriptors[nearest[found]]).sum(axis=1))
    assert total > 300
    most_lost, least_cosine = TOLERANCES[engine, precision]
    assert lost / total <= most_lost
    assert np.concatenate(cosines).mean() >= least_cosine


@needs_openvino
def test_openvino_takes_any_shape_in_any_order():
    model = SuperPoint(COMPACT).eval()
    fast, plain = (create_engine(model, 'cpu', 'float32', e) for e in ('openvino', 'torch'))
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, 1, 16, 24), (2, 1, 16, 24), (1, 1, 24, 16), (1, 1, 16, 24)]
    shapes += [(1, 1, 16, 8 * n) for n in range(2, 13)] + [(1, 1, 16, 24)]
    kept = []
    for shape in shapes:
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        kept.append((fast.infer(images), plain.infer(images)))
    # Compared at the end: a later call must not write into what an earlier one returned.
    for got, expected in kept:
        for a, b in zip(got, expected, strict=True):
            assert torch.allclose(a, b, atol=1e-4)


def test_torch_is_the_engine_unless_another_is_asked_for():
    assert create_engine(SuperPoint(COMPACT), 'cpu').name == 'torch'


@needs_openvino
def test_openvino_brings_no_telemetry_along():
    create_engine(SuperPoint(COMPACT), 'cpu', engine='openvino')
    assert sys.modules.get('openvino_telemetry') is None


ENGINE_IN_A_THREAD = """
import os, signal, sys, threading
import torch
from superpoint_ros.engines import create_engine
from superpoint_ros.network import COMPACT, SuperPoint

signal.signal(signal.SIGTERM, lambda *_: print('handled', flush=True))
engines = [create_engine(SuperPoint(COMPACT), 'cpu', 'float32', 'openvino')]
engines[0].infer(torch.zeros(1, 1, 16, 16, dtype=torch.uint8))
thread = threading.Thread(target=engines.clear)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGTERM)
print('goes on')
"""


@needs_openvino
def test_a_signal_finds_its_stack_after_a_thread_has_let_openvino_go():
    command = [sys.executable, '-c', ENGINE_IN_A_THREAD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode != -signal.SIGSEGV
    assert (done.stdout.split('\n'), done.returncode) == (['handled', 'goes on', ''], 0)


def test_asking_for_openvino_where_it_is_not_is_explained(monkeypatch):
    monkeypatch.setattr('superpoint_ros.engines.find_spec', lambda name: None)
    with pytest.raises(ValueError, match='pip install openvino'):
        create_engine(SuperPoint(COMPACT), 'cpu', engine='openvino')


def test_an_unknown_engine_is_named():
    with pytest.raises(ValueError, match="engine must be one of auto, .* got 'onnx'"):
        create_engine(SuperPoint(COMPACT), 'cpu', engine='onnx')
