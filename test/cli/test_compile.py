# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint compile` compiles all that the nodes call, so that their first start does not."""

from functools import partial
import subprocess
import sys

from superpoint_ros.cli import compile as command
from superpoint_ros.cli.main import main
from superpoint_ros.common import compiled
from support.compiled_functions import COMPILED

PROGRAM = (
    COMPILED
    + """
from dataclasses import replace

from superpoint_ros.cli.main import main

assert main(['compile']) == 0
before = compiled()

from superpoint_ros import Detector
from superpoint_ros.detection.covariances import keypoint_covariances
from superpoint_ros.resources import demo_photographs
from superpoint_ros.geometry.stereo import stereo_depths, StereoCamera
from superpoint_ros.odometry.tracker import Tracker
from superpoint_ros.odometry.visual_odometry import VisualOdometry
from superpoint_ros.simulation.room import SimulatedRoom

room = SimulatedRoom(demo_photographs(), rate=8, count=12, baseline=0.12)
stereo = StereoCamera(room.camera, float(room.camera.matrix[0, 0]), 0.12)
detector = Detector.from_weights(device='cpu')
tracker, plain = Tracker(), Tracker()
odometry, poses = VisualOdometry(room.camera), 0
for frame in room:
    features, right = detector([frame.image, frame.second])
    features = replace(features, depths=stereo_depths(
        features, right, frame.image, frame.second, stereo
    ))
    plain.update(features, frame.stamp)
    tracks = tracker.update(features, frame.stamp, image=frame.image)
    poses += odometry.update(tracks, frame.stamp) is not None
assert poses > 6, poses
large = Detector.from_weights('superpoint', device='cpu')
for settings in ({'keypoints': 'heatmap'}, {'descriptor_scales': 2}, {'grid_cells': 4}):
    for each in (detector, large):
        changed = replace(each.settings, **settings)
        keypoints = each(frame.image, frame.image, changed).keypoints
        keypoint_covariances(frame.image, keypoints)
print(*(compiled() - before), sep='\\n')
"""
)


def test_nodes_compile_nothing_after_the_command():
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, *rest = done.stdout.splitlines()
    assert answer == 'detector, tracker, visual odometry and stereo depths are compiled'
    assert [line for line in rest if line] == []


def test_the_status_tells_that_code_could_not_be_saved(monkeypatch, capsys):
    monkeypatch.setattr(compiled, '_unsaved', set())
    compile_nothing = partial(compiled._NoCache().load_overload, 'function', None)
    monkeypatch.setattr(command, '_compile_detection', compile_nothing)
    assert main(['compile']) == 1
    assert capsys.readouterr().out == ''
