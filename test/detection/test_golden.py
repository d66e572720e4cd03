# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The features of the shipped weights on the shipped photographs stay the same.

`golden_features.npz` holds the 100 best keypoints of each photograph with their scores and
descriptors (float16), by both networks, for both kinds of keypoints, computed in float32 by
PyTorch on a CPU. `python test/detection/test_golden.py` writes the file again: do that only when a
change is meant to alter features.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from superpoint_ros.detector import Detector
from superpoint_ros.resources import demo_photographs, share_directory

GOLDEN = Path(__file__).with_name('golden_features.npz')
WEIGHTS = ('superpoint_compact', 'superpoint')
KEYPOINTS = {
    'hessian': {'keypoints': 'hessian', 'threshold': 0.001},
    'heatmap': {'keypoints': 'heatmap', 'threshold': 0.015},
}
EXACT = ('torch', 'float32')

ENGINES = {
    # engine, precision: share of keypoints found again within half a pixel, least cosine
    'torch float32': ('torch', 'float32', 1.0, 0.9999),
    'torch bfloat16': ('torch', 'bfloat16', 0.9, 0.95),
    'openvino float32': ('openvino', 'float32', 0.99, 0.999),
    'onnxruntime float32': ('onnxruntime', 'float32', 0.99, 0.999),
    'openvino bfloat16': ('openvino', 'bfloat16', 0.9, 0.95),
    'openvino int8': ('openvino', 'int8', 0.85, 0.9),
}


@cache
def detect(weights, kind, engine, precision):
    """Return the features of each photograph, by its name."""
    path = share_directory() / 'models' / f'{weights}.safetensors'
    execution = {'device': 'cpu', 'engine': engine, 'precision': precision}
    detector = Detector.from_weights(path, **execution, **KEYPOINTS[kind], max_keypoints=100)
    return {path.stem: detector(cv2.imread(str(path))) for path in demo_photographs()}


def compare(found, golden):
    """Return the share of golden keypoints that were found, and the cosines of those."""
    distances = np.linalg.norm(found.keypoints[None] - golden['keypoints'][:, None], axis=2)
    nearest, near = distances.argmin(axis=1), distances.min(axis=1) < 0.5
    expected = golden['descriptors'].astype(np.float32)
    # Rounding to float16 changed the lengths by up to 1e-4.
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    cosines = np.sum(expected * found.descriptors[nearest], axis=1)[near]
    return near.mean(), cosines


@pytest.mark.parametrize(('factor', 'offset'), [(0.1, 2), (0.15, 160)])
def test_dark_and_hazy_photographs_have_the_keypoints_of_the_photograph(factor, offset):
    detector = Detector.from_weights(device='cpu', engine='torch')
    without = replace(detector.settings, min_contrast=0)
    counts, shares = [], []
    for path in demo_photographs():
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        changed = np.rint(factor * image + offset).astype(np.uint8)
        found, expected = detector(changed), detector(image)
        counts.append((len(detector(changed, settings=without)), len(found), len(expected)))
        distances = np.linalg.norm(found.keypoints[:, None] - expected.keypoints, axis=2)
        near = distances.min(axis=1) < 1.5
        nearest = distances.argmin(axis=1)
        cosines = np.sum(found.descriptors * expected.descriptors[nearest], axis=1)
        shares.append((near & (cosines > 0.8)).mean())
    assert min(shares) > 0.5
    before, now, bright = np.sum(counts, axis=0)
    assert before < 0.8 * bright
    assert now > 0.95 * bright


@pytest.mark.parametrize('name', ENGINES)
@pytest.mark.parametrize('kind', KEYPOINTS)
@pytest.mark.parametrize('weights', WEIGHTS)
def test_golden_features_are_found_again_by_every_engine(weights, kind, name):
    engine, precision, share, cosine = ENGINES[name]
    if engine != 'torch':
        pytest.importorskip(engine, reason=f'{engine} is not installed')
    shares, cosines = [], []
    with np.load(GOLDEN) as arrays:
        for stem, features in detect(weights, kind, engine, precision).items():
            prefix = f'{weights}/{kind}/{stem}/'
            golden = {name: arrays[prefix + name] for name in ('keypoints', 'descriptors')}
            found, similar = compare(features, golden)
            shares.append(found)
            cosines.append(similar)
    assert np.mean(shares) >= share
    assert np.concatenate(cosines).min() >= cosine


@pytest.mark.parametrize('kind', KEYPOINTS)
@pytest.mark.parametrize('weights', WEIGHTS)
def test_golden_scores_and_order_are_reproduced_exactly_enough(weights, kind):
    with np.load(GOLDEN) as arrays:
        for stem, found in detect(weights, kind, *EXACT).items():
            prefix = f'{weights}/{kind}/{stem}/'
            keypoints, scores = arrays[prefix + 'keypoints'], arrays[prefix + 'scores']
            np.testing.assert_allclose(found.scores, scores, atol=1e-4)
            # Keypoints whose scores are equal up to rounding change places, and one may be the
            # first that is left out.
            distances = np.abs(found.keypoints[None] - keypoints[:, None]).max(axis=2)
            again = distances.min(axis=1) < 0.02
            assert again.mean() >= 0.98
            nearest = distances.argmin(axis=1)[again]
            np.testing.assert_allclose(found.scores[nearest], scores[again], atol=1e-4)


def main():
    """Write the golden file with the features of the code and weights in this tree."""
    arrays = {}
    for weights in WEIGHTS:
        for kind in KEYPOINTS:
            for stem, features in detect(weights, kind, *EXACT).items():
                prefix = f'{weights}/{kind}/{stem}/'
                arrays[prefix + 'keypoints'] = features.keypoints
                arrays[prefix + 'scores'] = features.scores
                arrays[prefix + 'descriptors'] = features.descriptors.astype(np.float16)
    np.savez_compressed(GOLDEN, **arrays)


if __name__ == '__main__':
    main()
