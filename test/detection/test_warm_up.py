# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The warm-up compiles everything: no image waits for the compiler."""

import subprocess
import sys

from support.compiled_functions import COMPILED

PROGRAM = (
    COMPILED
    + """
import numpy as np

from superpoint_ros import Detector
from superpoint_ros.geometry import stereo
from superpoint_ros.geometry.camera_model import CameraModel

detector = Detector.from_weights(device='cpu')
detector.warm_up((64, 48))
stereo.warm_up_stereo()
before = compiled()
noise = np.random.default_rng(1).integers(0, 256, (60, 90), np.uint8)
read_only = noise.copy()
read_only.flags.writeable = False
dot = np.zeros((60, 90), np.uint8)
dot[30, 40] = 255
for image in (np.zeros((60, 90), np.uint8), dot, noise, noise[:, :70], read_only, noise[:37, :51]):
    detector(image)
pair = detector([noise, read_only])
model = CameraModel.of_view((90, 60))
for right in (read_only, noise[:, ::-1]):
    stereo.stereo_depths(*pair, noise, right, stereo.StereoCamera(model, 60.0, 0.1))
print(*(compiled() - before), sep='\\n')
"""
)


def test_nothing_is_compiled_after_the_warm_up():
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ('', 0), done.stderr
