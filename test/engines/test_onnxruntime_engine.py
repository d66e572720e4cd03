# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""ONNX Runtime runs any network, with the providers that are given, and says what it lacks."""

import os

import numpy as np
import pytest
import torch

from superpoint_ros.engines.engine import create_engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.config import COMPACT, SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint
from support.engines import cpu_engine, needs_onnxruntime


@needs_onnxruntime
@pytest.mark.parametrize('normalization', ['before_relu', 'after_relu'])
def test_onnxruntime_runs_networks_with_batch_norm(normalization):
    torch.manual_seed(0)
    config = SuperPointConfig((4, 6, 8, 10), 12, 16, normalization=normalization)
    model = SuperPoint(config).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.bias)
    images = torch.randint(0, 256, (2, 1, 32, 48), dtype=torch.uint8)
    fast, plain = (cpu_engine(model, 'float32', e) for e in ('onnxruntime', 'torch'))
    for a, b in zip(fast.infer(images).parts, plain.infer(images).parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@needs_onnxruntime
def test_onnxruntime_takes_float32_and_the_cpu_by_default():
    made = create_engine(SuperPoint(COMPACT), ExecutionSettings(engine='onnxruntime'))
    assert (made.name, made.precision, str(made.device)) == ('onnxruntime', 'float32', 'cpu')


@needs_onnxruntime
def test_onnxruntime_prints_nothing_if_the_process_may_use_one_core_only(capfd):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        made = cpu_engine(SuperPoint(COMPACT), engine='onnxruntime')
    finally:
        os.sched_setaffinity(0, cores)
    assert made.infer(np.zeros((1, 1, 16, 16), np.uint8)).logits.shape == (1, 65, 2, 2)
    assert capfd.readouterr() == ('', '')


@needs_onnxruntime
def test_onnxruntime_uses_the_given_providers():
    providers = ' CPUExecutionProvider,'
    made = cpu_engine(SuperPoint(COMPACT), engine='onnxruntime', providers=providers)
    assert made._session.get_providers() == ['CPUExecutionProvider']
    assert made.providers == ('CPUExecutionProvider',)


@needs_onnxruntime
def test_a_provider_that_onnxruntime_lacks_is_named_with_those_it_has():
    providers = 'CPUExecutionProvider, NoProvider'
    with pytest.raises(ValueError, match='NoProvider, .* choose from .*CPUExecutionProvider'):
        cpu_engine(SuperPoint(COMPACT), engine='onnxruntime', providers=providers)


@needs_onnxruntime
def test_a_provider_of_onnxruntime_whose_libraries_are_missing_is_an_error(monkeypatch):
    import onnxruntime

    def without_libraries(*args, providers, **options):
        return session(*args, providers=['CPUExecutionProvider'], **options)

    session, known = onnxruntime.InferenceSession, ['CUDAExecutionProvider']
    # ONNX Runtime prints a warning and runs on the CPU instead.
    monkeypatch.setattr(onnxruntime, 'InferenceSession', without_libraries)
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: known)
    with pytest.raises(ValueError, match='CUDAExecutionProvider of ONNX Runtime does not work'):
        cpu_engine(SuperPoint(COMPACT), engine='onnxruntime', providers=known[0])


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'precision': 'bfloat16', 'engine': 'onnxruntime'}, 'runs in float32, not in bfloat16'),
        ({'precision': 'int8', 'engine': 'onnxruntime'}, "int8 needs engine 'openvino'"),
        (
            {'engine': 'torch', 'providers': 'CPUExecutionProvider'},
            "providers are for engine 'onnxruntime', not for 'torch'",
        ),
    ],
)
def test_settings_that_onnxruntime_cannot_follow_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        cpu_engine(SuperPoint(COMPACT), **settings)


def test_requesting_onnxruntime_without_it_is_explained(monkeypatch):
    monkeypatch.setattr('superpoint_ros.engines.engine.find_spec', lambda name: None)
    with pytest.raises(ValueError, match='pip install onnx onnxruntime'):
        cpu_engine(SuperPoint(COMPACT), engine='onnxruntime')
