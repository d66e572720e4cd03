# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The detector for RTAB-Map, called as RTAB-Map calls it (corelib/src/python/PyDetector.cpp).

RTAB-Map appends the file's folder to sys.path, imports the file by its name, calls init with an
integer, then detect with an array that is made of the image's memory, and reads from the two
arrays of a tuple, as plain memory, floats.
"""

from __future__ import annotations

import ctypes
import importlib
import json
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig

import cv2
import numpy as np
import pytest

from superpoint_ros import Detector
from superpoint_ros.detection.settings import DetectionSettings
import superpoint_ros.integrations
from superpoint_ros.resources import demo_photographs
from support.settings import other_settings

FILE = Path(superpoint_ros.integrations.__file__).parent / 'rtabmap.py'


@pytest.fixture
def module(monkeypatch):
    """Return the file as RTAB-Map imports it."""
    monkeypatch.setattr(sys, 'path', [*sys.path, str(FILE.parent)])
    monkeypatch.delitem(sys.modules, FILE.stem, raising=False)
    imported = importlib.import_module(FILE.stem)
    yield imported
    sys.modules.pop(FILE.stem, None)


@pytest.fixture(scope='module')
def image():
    gray = cv2.imread(str(demo_photographs()[0]), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(gray, (320, 240), interpolation=cv2.INTER_AREA)


def call(module, image):
    """Return what RTAB-Map reads of detect's answer: keypoints and descriptors as lists."""
    memory = ctypes.create_string_buffer(image.tobytes(), image.size)
    buffer = np.frombuffer(memory, np.uint8).reshape(image.shape)
    answer = module.detect(buffer)
    assert isinstance(answer, tuple)
    assert len(answer) == 2
    read = []
    for array in answer:
        assert array.dtype == np.float32
        rows, columns = array.shape
        pointer = array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        read.append(np.array(pointer[: rows * columns]).reshape(rows, columns))
    assert len(read[0]) == len(read[1])
    assert answer[0].shape[1] == 3
    return read


def test_rtabmap_gets_what_the_detector_finds(module, image):
    module.init(0)
    keypoints, descriptors = call(module, image)
    expected = Detector.from_weights(device='cpu')(image)
    assert len(keypoints) > 100
    np.testing.assert_allclose(keypoints[:, :2], expected.keypoints, atol=1e-4)
    np.testing.assert_allclose(keypoints[:, 2], expected.scores, atol=1e-5)
    np.testing.assert_allclose(descriptors, expected.descriptors, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=1e-4)


def test_rtabmap_uses_the_cpu_if_there_is_no_cuda(module, image):
    module.init(1)
    assert len(call(module, image)[0]) > 100


def test_rtabmap_gets_empty_arrays_of_an_image_without_corners(module):
    module.init(0)
    keypoints, descriptors = module.detect(np.full((240, 320), 128, np.uint8))
    assert keypoints.shape == (0, 3)
    assert descriptors.shape[0] == 0
    assert descriptors.shape[1] > 0


def test_rtabmap_settings_come_from_the_environment(module, image, monkeypatch):
    monkeypatch.setenv('RTABMAP_SUPERPOINT_MAX_KEYPOINTS', '37')
    monkeypatch.setenv('RTABMAP_SUPERPOINT_THRESHOLD', '0.02')
    monkeypatch.setenv('RTABMAP_SUPERPOINT_SUBPIXEL', 'false')
    module.init(0)
    keypoints, _ = call(module, image)
    assert len(keypoints) == 37
    assert keypoints[:, 2].min() >= 0.02
    np.testing.assert_array_equal(keypoints[:, :2], np.rint(keypoints[:, :2]))


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('THRESHOLD', 'low', "RTABMAP_SUPERPOINT_THRESHOLD: threshold must be a number .* 'low'"),
        ('THRESHOLD', '2', 'threshold must lie between 0.0 and 1.0, got 2'),
        ('TRESHOLD', '0.1', 'RTABMAP_SUPERPOINT_TRESHOLD is unknown: .* THRESHOLD'),
        ('DEVICE', 'cpu', 'RTABMAP_SUPERPOINT_DEVICE is unknown'),
        ('WEIGHTS', '/nowhere.safetensors', 'nowhere.safetensors'),
        ('LEVELS', '2', 'LEVELS was renamed: use RTABMAP_SUPERPOINT_DESCRIPTOR_SCALES$'),
        ('BLOBS', 'false', "BLOBS was renamed: use RTABMAP_SUPERPOINT_KEYPOINTS \\('hessian' for"),
    ],
)
def test_a_variable_that_is_wrong_is_named_with_what_is_right(
    module, monkeypatch, name, value, message
):
    monkeypatch.setenv(f'RTABMAP_SUPERPOINT_{name}', value)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        module.init(0)


def test_every_setting_of_the_detection_is_a_variable(module, monkeypatch):
    settings = other_settings(DetectionSettings)
    for name, value in vars(settings).items():
        monkeypatch.setenv(f'RTABMAP_SUPERPOINT_{name.upper()}', str(value).lower())
    module.init(0)
    assert module._detector.settings == settings


def test_rtabmap_detect_before_init_is_an_error(module, image):
    with pytest.raises(RuntimeError, match='init'):
        module.detect(image)


# As in RTAB-Map: an embedded interpreter, the folder of the file at the end of sys.path, init(0).
EMBEDDING = """
#include <Python.h>

int main(int count, char ** words)
{
  char line[4096];
  Py_Initialize();
  snprintf(line, sizeof line, "import sys; sys.path.append('%s')", words[1]);
  PyRun_SimpleString(line);
  PyObject * module = PyImport_ImportModule("rtabmap");
  if (!module || !PyObject_CallMethod(module, "init", "i", 0)) {
    PyErr_Print();
    return count;
  }
  snprintf(
    line, sizeof line,
    "import numpy, rtabmap; keypoints, descriptors = rtabmap.detect(numpy.load('%s'))\\n"
    "print(len(keypoints), descriptors.shape[1], keypoints[0].tolist(), flush=True)", words[2]);
  return PyRun_SimpleString(line);
}
"""


@pytest.fixture(scope='module')
def embedded(image, tmp_path_factory):
    """Return a function that runs the file in an embedded Python, without this environment."""
    if shutil.which('gcc') is None:
        pytest.skip('gcc is not installed')
    if sys.prefix == sys.base_prefix:
        pytest.skip('the tests do not run in a virtual environment')
    folder = tmp_path_factory.mktemp('embedded')
    (folder / 'main.c').write_text(EMBEDDING)
    np.save(folder / 'image.npy', image)
    library = sysconfig.get_config_var('LIBDIR')
    command = ['gcc', str(folder / 'main.c'), f'-I{sysconfig.get_config_var("INCLUDEPY")}']
    command += [f'-L{library}', f'-Wl,-rpath,{library}', '-Wl,-export-dynamic']
    command += [f'-lpython{sysconfig.get_config_var("LDVERSION")}', '-ldl', '-lm', '-lutil']
    built = subprocess.run([*command, '-o', folder / 'main'], capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f'no program that embeds Python can be built: {built.stderr[-200:]}')

    def run(**environment):
        clean = {'PATH': '/usr/bin:/bin', 'HOME': str(folder), **environment}
        # The Python of the library, not that of the environment or of the system's PATH.
        clean['PYTHONHOME'] = sys.base_prefix
        command = [folder / 'main', FILE.parent, folder / 'image.npy']
        return subprocess.run(command, env=clean, capture_output=True, text=True)

    return run


def test_rtabmaps_embedded_python_needs_only_the_name_of_the_environment(embedded, image):
    done = embedded(RTABMAP_SUPERPOINT_ENVIRONMENT=sys.prefix)
    assert done.returncode == 0, done.stderr
    expected = Detector.from_weights(device='cpu')(image)
    count, size, first = done.stdout.split(maxsplit=2)
    assert int(count) == len(expected)
    assert int(size) == expected.descriptors.shape[1]
    np.testing.assert_allclose(json.loads(first)[:2], expected.keypoints[0], atol=1e-3)


def test_an_environment_of_another_python_is_named(embedded, tmp_path):
    (tmp_path / 'lib' / 'python2.7' / 'site-packages').mkdir(parents=True)
    done = embedded(RTABMAP_SUPERPOINT_ENVIRONMENT=str(tmp_path))
    assert done.returncode != 0
    error = done.stderr.splitlines()[-1]
    assert f'RTABMAP_SUPERPOINT_ENVIRONMENT={tmp_path} has no lib/python3' in error
    assert f'Python that RTAB-Map embeds, {sys.version.split()[0]}' in error


def test_packages_that_are_missing_are_named(module, monkeypatch):
    monkeypatch.setattr(module, 'NEEDED', ('numpy', 'no_such_module'))
    monkeypatch.setattr(module, '__file__', '/nowhere/superpoint_ros/integrations/rtabmap.py')
    with pytest.raises(ModuleNotFoundError, match='does not find no_such_module: set RTABMAP_S'):
        module.init(0)


def test_rtabmap_file_prints_its_path():
    command = [sys.executable, '-m', 'superpoint_ros.integrations.rtabmap']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == FILE.resolve()
