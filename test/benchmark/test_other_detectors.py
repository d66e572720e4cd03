# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Other detectors take part in the speed benchmark as ONNX files."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('matplotlib', reason='matplotlib is not installed')
pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')

from onnx import helper, save, TensorProto

from superpoint_ros.benchmark.benchmark_tables import methods_table
from superpoint_ros.benchmark.candidates import Execution
from superpoint_ros.benchmark.frame_times import measure_frames, SpeedPlan
from superpoint_ros.benchmark.other_detectors import METHODS, TimedMethod, TimedOnnx

FRAME = np.zeros((48, 64, 3), np.uint8)
FRAME[10, 20] = FRAME[30, 5] = (0, 255, 255)  # yellow: red and green


def write(path, nodes, image_type, shape, outputs, others=()):
    """Write a graph with the input `image`, others, and outputs by name with their shapes."""
    inputs = [helper.make_tensor_value_info('image', image_type, shape)]
    inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in others]
    ends = [helper.make_tensor_value_info(name, kind, size) for name, kind, size in outputs]
    level = helper.make_tensor('level', TensorProto.FLOAT, [1], [0.5])
    graph = helper.make_graph(nodes, 'graph', inputs, ends, [level])
    opset = [helper.make_opsetid('', 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def bright_pixels(path, channels, shape=('h', 'w')):
    """Write a detector of pixels brighter than 0.5; keypoints are the last two coordinates."""
    nodes = [
        helper.make_node('Greater', ['image', 'level'], ['bright']),
        helper.make_node('NonZero', ['bright'], ['indices']),
        helper.make_node('Transpose', ['indices'], ['rows'], perm=[1, 0]),
        helper.make_node('Split', ['rows'], ['first', 'points'], axis=1),
    ]
    outputs = [('points', TensorProto.INT64, ['n', 2])]
    return write(path, nodes, TensorProto.FLOAT, [1, channels, *shape], outputs)


@pytest.mark.parametrize('name', METHODS)
def test_methods_of_opencv_are_named_in_any_case(name):
    assert [TimedMethod(each, 9).name for each in (name, name.lower(), name.upper())] == [name] * 3


@pytest.mark.parametrize(('channels', 'count'), [(1, 2), (3, 4)])
def test_a_detector_gets_frames_from_0_to_1_in_gray_or_rgb(tmp_path, channels, count):
    detector = TimedOnnx(bright_pixels(tmp_path / 'bright.onnx', channels), threads=1)
    times, keypoints = detector(0, FRAME)
    assert keypoints.shape == (count, 2)
    assert (keypoints[0] == (10, 20)).all()
    assert 0 < times.frame < 10
    assert (detector.name, detector.library) == ('bright', 'ONNX')


def test_a_detector_of_one_size_gets_frames_of_that_size(tmp_path):
    detector = TimedOnnx(bright_pixels(tmp_path / 'bright.onnx', 1, (96, 128)), threads=1)
    _, keypoints = detector(0, np.full((48, 64, 3), 255, np.uint8))
    assert len(keypoints) == 96 * 128


def test_only_valid_keypoints_are_counted(tmp_path):
    last = helper.make_tensor('v', TensorProto.INT64, [1], [2])
    nodes = [
        helper.make_node('Constant', [], ['last'], value=last),
        helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('Flatten', ['float'], ['flat']),
        helper.make_node('Greater', ['flat', 'level'], ['valid']),
        helper.make_node('Unsqueeze', ['flat', 'last'], ['column']),
        helper.make_node('Concat', ['column', 'column'], ['keypoints'], axis=2),
    ]
    outputs = [
        ('keypoints', TensorProto.FLOAT, [1, 'n', 2]),
        ('valid', TensorProto.BOOL, [1, 'n']),
    ]
    path = write(tmp_path / 'm.onnx', nodes, TensorProto.UINT8, [1, 1, 'h', 'w'], outputs)
    assert len(TimedOnnx(path, threads=1)(0, FRAME)[1]) == 2


def test_onnx_detectors_take_part_in_the_benchmark(tiny, tmp_path):
    path = bright_pixels(tmp_path / 'bright.onnx', 1)
    plan = SpeedPlan(
        sizes=[(64, 48)],
        networks=[tiny],
        executions=[Execution('torch')],
        methods=['ORB'],
        onnx=[path],
        rounds=2,
        memory=False,
        peak_sides=[64],
    )
    result = measure_frames(plan, lambda text: None)
    orb, bright = result['methods']
    assert (bright['method'], bright['library']) == ('bright', 'ONNX')
    assert bright['orb_ratio'] > 0
    assert orb['orb_ratio'] == 1
    table = methods_table(result)
    assert '| bright (ONNX) 64x48 |' in table
    assert '| ORB (OpenCV) 64x48 |' in table


def test_what_is_wrong_with_an_onnx_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'there is no ONNX file .*none\.onnx'):
        TimedOnnx(tmp_path / 'none.onnx')
    (tmp_path / 'text.onnx').write_text('text')
    with pytest.raises(ValueError, match=r'text\.onnx cannot be loaded as ONNX'):
        TimedOnnx(tmp_path / 'text.onnx')
    same = [helper.make_node('Identity', ['image'], ['features'])]
    outputs = [('features', TensorProto.FLOAT, [1, 1, 'h', 'w'])]
    path = write(tmp_path / 'm.onnx', same, TensorProto.FLOAT, [1, 1, 'h', 'w'], outputs)
    with pytest.raises(ValueError, match='has no output keypoints, and none with two columns'):
        TimedOnnx(path)
    four = [1, 4, 'h', 'w']
    outputs_of_four = [('features', TensorProto.FLOAT, four)]
    path = write(tmp_path / 'm.onnx', same, TensorProto.FLOAT, four, outputs_of_four)
    with pytest.raises(ValueError, match=r'needs one input \(1, C, H, W\)'):
        TimedOnnx(path)
    path = write(
        tmp_path / 'm.onnx', same, TensorProto.FLOAT, [1, 1, 'h', 'w'], outputs, ['threshold']
    )
    with pytest.raises(ValueError, match='has the inputs threshold besides the image'):
        TimedOnnx(path)
