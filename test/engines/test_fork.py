# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A detector that was used before a fork works in the new process, too."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORK = """
import multiprocessing
import sys
import numpy as np
from superpoint_ros import Detector

image = np.random.default_rng(0).integers(0, 256, (1200, 1600)).astype(np.uint8)
settings = {'engine': sys.argv[1], 'device': 'cpu', 'max_image_size': 640, 'descriptor_scales': 2}
settings['threads'] = int(sys.argv[2])
detector = Detector.from_weights(**settings)
features = detector(image)
heatmap = detector.heatmap(image[:480, :640])


def child(answers):
    again = detector(image)
    np.testing.assert_allclose(detector.heatmap(image[:480, :640]), heatmap, atol=0.02)
    new = Detector.from_weights(**settings)(image)
    answers.put([len(again), len(new)])


context = multiprocessing.get_context('fork')
answers = context.Queue()
process = context.Process(target=child, args=(answers,))
process.start()
process.join(60)
if process.is_alive():
    process.kill()
    sys.exit('the forked process hangs')
print(len(features), *answers.get(timeout=1), len(detector(image)))
"""


# With one thread, OpenVINO could take the same settings for the networks of both processes.
@pytest.mark.parametrize(
    ('engine', 'threads'), [('torch', 0), ('openvino', 0), ('openvino', 1), ('onnxruntime', 0)]
)
def test_a_detector_works_in_a_forked_process(engine, threads):
    pytest.importorskip(engine)
    done = subprocess.run(
        [sys.executable, '-c', FORK, engine, str(threads)],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    before, again, new, after = map(int, done.stdout.split())
    assert before > 100
    assert (again, new, after) == (before, before, before)
