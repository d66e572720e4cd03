# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines run any network at any size, alike, within their memory and threads."""

import importlib
import os
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.model.config import COMPACT, NANO
from superpoint_ros.model.superpoint import SuperPoint
from support.engines import cpu_engine, needs_onnxruntime, needs_openvino


@pytest.mark.parametrize(
    'engine',
    [
        pytest.param('openvino', marks=needs_openvino),
        pytest.param('onnxruntime', marks=needs_onnxruntime),
    ],
)
@pytest.mark.parametrize('config', [COMPACT, NANO], ids=['compact', 'nano'])
def test_engine_accepts_any_shape_in_any_order(engine, config):
    model = SuperPoint(config).eval()
    fast, plain = (cpu_engine(model, 'float32', e) for e in (engine, 'torch'))
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, 1, 16, 24), (2, 1, 16, 24), (1, 1, 24, 16), (1, 1, 16, 24)]
    shapes += [(1, 1, 16, 8 * n) for n in range(2, 13)] + [(1, 1, 16, 24)]
    kept = []
    for shape in shapes:
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        kept.append((fast.infer(images), plain.infer(images)))
    # Compared at the end: a later call must not write into what an earlier one returned.
    for got, expected in kept:
        for a, b in zip(got.parts, expected.parts, strict=True):
            assert torch.allclose(a, b, atol=1e-4)


@needs_openvino
def test_openvino_is_the_engine_of_a_cpu_if_it_is_installed():
    assert cpu_engine(SuperPoint(COMPACT)).name == 'openvino'


def test_torch_is_the_engine_if_openvino_is_not_installed(monkeypatch):
    monkeypatch.setattr('superpoint_ros.engines.engine.find_spec', lambda name: None)
    assert cpu_engine(SuperPoint(COMPACT)).name == 'torch'


@needs_openvino
def test_torch_is_the_engine_if_openvino_does_not_work(monkeypatch, caplog):
    def fail():
        raise RuntimeError('no plugin for CPUs')

    monkeypatch.setattr('superpoint_ros.engines.openvino_engine.openvino_core', fail)
    assert cpu_engine(SuperPoint(COMPACT)).name == 'torch'
    assert 'PyTorch is used: no plugin for CPUs' in caplog.text
    with pytest.raises(ValueError, match="engine 'openvino' does not work here: no plugin"):
        cpu_engine(SuperPoint(COMPACT), engine='openvino')


@needs_openvino
def test_an_interruption_of_openvinos_import_is_not_taken_for_its_failure(monkeypatch):
    def fail():
        raise ImportError('initialization failed') from KeyboardInterrupt()

    monkeypatch.setattr('superpoint_ros.engines.openvino_engine.openvino_core', fail)
    with pytest.raises(KeyboardInterrupt):
        cpu_engine(SuperPoint(COMPACT))


@needs_openvino
def test_openvino_leaves_the_last_fine_layer_of_arrays_to_the_detection():
    model = SuperPoint(COMPACT).eval()
    fast, plain = (cpu_engine(model, 'float32', e) for e in ('openvino', 'torch'))
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 24, 32), dtype=np.uint8)
    found, expected = fast.infer(images), plain.infer(images)
    assert expected.fine_projection is None
    assert found.fine.shape == (2, COMPACT.fine_channels, 6, 8)
    weights, bias = found.fine_projection[:-1], found.fine_projection[-1]
    fine = found.fine.transpose(0, 2, 3, 1) @ weights + bias
    np.testing.assert_allclose(fine, expected.fine.transpose(0, 2, 3, 1), atol=1e-4)


@pytest.mark.parametrize(('native', 'precision'), [(True, 'bfloat16'), (False, 'float32')])
@pytest.mark.parametrize('engine', [pytest.param('openvino', marks=needs_openvino), 'torch'])
def test_a_cpu_runs_in_bfloat16_if_it_supports_it(monkeypatch, engine, native, precision):
    module = importlib.import_module(f'superpoint_ros.engines.{engine}_engine')
    monkeypatch.setattr(module, f'{engine}_has_bfloat16', lambda: native)
    assert cpu_engine(SuperPoint(COMPACT), engine=engine).precision == precision


@needs_openvino
def test_openvino_runs_without_bfloat16_if_a_variable_forbids_it(monkeypatch):
    monkeypatch.setenv('ONEDNN_MAX_CPU_ISA', 'AVX2')
    assert cpu_engine(SuperPoint(COMPACT), engine='openvino').precision == 'float32'
    with pytest.raises(ValueError, match='ONEDNN_MAX_CPU_ISA=AVX2 forbids bfloat16'):
        cpu_engine(SuperPoint(COMPACT), engine='openvino', precision='bfloat16')


def test_a_network_in_memory_runs_in_float32_by_default():
    engine = Detector.from_model(SuperPoint(COMPACT), device='cpu').engine
    assert (engine.name, engine.precision) == ('torch', 'float32')


@needs_openvino
def test_openvino_compiles_a_network_for_a_size_that_recurs():
    from superpoint_ros.engines import openvino_engine

    engine = cpu_engine(SuperPoint(COMPACT), engine='openvino')
    count = openvino_engine.SHAPES

    def see(width, times=1):
        images = torch.zeros(1, 1, 16, width, dtype=torch.uint8)
        return [engine.infer(images).logits for _ in range(times)][-1]

    for width in range(16, 16 + 8 * count, 8):
        see(width)
    first = see(16)
    assert engine._for_all is None
    in_the_one_for_all = see(96, openvino_engine.PATIENCE - 1)
    assert engine._for_all is not None
    assert (1, 1, 16, 96) not in engine._own
    assert torch.allclose(see(96), in_the_one_for_all, atol=0.02)
    assert list(engine._own)[-1] == (1, 1, 16, 96)
    assert len(engine._own) == count
    # It replaced the least recently used size: not the first, which was used again.
    assert (1, 1, 16, 24) not in engine._own
    assert torch.equal(see(16), first)


@needs_openvino
def test_openvino_does_not_overwrite_outputs_that_are_in_use():
    engine = cpu_engine(SuperPoint(COMPACT), 'float32', 'openvino')
    images = torch.randint(256, (3, 1, 64, 96), dtype=torch.uint8)
    held = engine.infer(images[:1])
    before = [each.clone() for each in held.parts]
    others = [engine.infer(image[None]) for image in images[1:]]
    for now, then in zip(held.parts, before, strict=True):
        assert torch.equal(now, then)
    assert not torch.equal(others[0].logits, others[1].logits)


@needs_openvino
def test_openvino_reuses_the_memory_of_outputs():
    engine = cpu_engine(SuperPoint(COMPACT), 'float32', 'openvino')
    image = torch.zeros((1, 1, 64, 96), dtype=torch.uint8)
    output = engine.infer(image)
    place = output.logits.data_ptr()
    descriptors = output.descriptors
    del output
    assert engine.infer(image).logits.data_ptr() != place  # a part of it is still in use
    del descriptors
    assert place in {engine.infer(image).logits.data_ptr() for _ in range(2)}


@needs_openvino
def test_openvino_does_not_copy_outputs():
    engine = cpu_engine(SuperPoint(COMPACT), 'float32', 'openvino')
    image = np.zeros((1, 1, 64, 96), np.uint8)
    size = sum(each.nbytes for each in engine.infer(image).parts)  # makes the memory, too
    tracemalloc.start()
    try:
        engine.infer(image)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 4


RESIDENT_MEMORY = """
import importlib
import os
from pathlib import Path
import torch
from superpoint_ros.engines.engine import create_engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.config import COMPACT
from superpoint_ros.model.superpoint import SuperPoint

def engine():
    return create_engine(SuperPoint(COMPACT), ExecutionSettings(device='cpu', engine='openvino'))

def memory():
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')
"""

MANY_SIZES = """
one = engine()
for index in range(180):
    height, width = 16 + 8 * (index % 12), 16 + 8 * (index // 12)
    one.infer(torch.zeros(1, 1, height, width, dtype=torch.uint8))
    print(memory())
"""

MANY_NETWORKS = """
for _ in range(24):
    engine()
    print(memory())
"""


def resident_memory(program):
    """Return the sizes in bytes that a program prints, in a process without other tests."""
    command = [sys.executable, '-c', RESIDENT_MEMORY + program]
    # glibc gives threads that wait for each other heaps of their own, more of them under load.
    environment = {**os.environ, 'MALLOC_ARENA_MAX': '1'}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, timeout=300, check=True
    )
    return [int(line) for line in done.stdout.split()]


@needs_openvino
def test_openvino_needs_little_memory_for_many_sizes():
    memory = resident_memory(MANY_SIZES)
    # By default OpenVINO keeps a megabyte for each size, 60 MB for these.
    assert memory[-1] - memory[119] < 20e6


@needs_openvino
def test_replaced_networks_of_openvino_free_their_memory():
    memory = resident_memory(MANY_NETWORKS)
    # A network that PyTorch traced would stay in memory: 3 MB each.
    assert memory[-1] - memory[7] < 16e6


@pytest.mark.parametrize(
    'engine',
    [
        'torch',
        pytest.param('openvino', marks=needs_openvino),
        pytest.param('onnxruntime', marks=needs_onnxruntime),
    ],
)
def test_engines_use_the_requested_number_of_threads(engine, restore_threads):
    images = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    made = cpu_engine(SuperPoint(COMPACT), engine=engine, threads=1)
    assert made.infer(images).logits.shape == (1, 65, 4, 4)
    assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match='threads must lie between 0 .* got -1'):
        cpu_engine(SuperPoint(COMPACT), engine=engine, threads=-1)


@needs_openvino
def test_openvino_runs_without_telemetry():
    cpu_engine(SuperPoint(COMPACT), engine='openvino')
    assert sys.modules.get('openvino_telemetry') is None


ENGINE_IN_A_THREAD = """
import os, signal, sys, threading
import torch
from superpoint_ros.engines.engine import create_engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.config import COMPACT
from superpoint_ros.model.superpoint import SuperPoint

signal.signal(signal.SIGTERM, lambda *_: print('handled', flush=True))
execution = ExecutionSettings(device='cpu', engine='openvino')
engines = [create_engine(SuperPoint(COMPACT), execution)]
engines[0].infer(torch.zeros(1, 1, 16, 16, dtype=torch.uint8))
thread = threading.Thread(target=engines.clear)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGTERM)
print('goes on')
"""


@needs_openvino
def test_a_signal_is_handled_after_a_thread_has_deleted_an_openvino_engine():
    command = [sys.executable, '-c', ENGINE_IN_A_THREAD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode != -signal.SIGSEGV
    assert (done.stdout.split('\n'), done.returncode) == (['handled', 'goes on', ''], 0)


def test_requesting_openvino_without_it_is_explained(monkeypatch):
    monkeypatch.setattr('superpoint_ros.engines.engine.find_spec', lambda name: None)
    with pytest.raises(ValueError, match='pip install openvino'):
        cpu_engine(SuperPoint(COMPACT), engine='openvino')


def test_an_unknown_engine_is_named_in_the_error():
    with pytest.raises(ValueError, match="engine must be one of auto, .* got 'onnx'"):
        cpu_engine(SuperPoint(COMPACT), engine='onnx')
