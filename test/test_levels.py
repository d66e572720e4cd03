# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Several levels of an image, and the best keypoints of all."""

from __future__ import annotations

from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from superpoint_ros.decoding import DetectionSettings
from superpoint_ros.features import Features
from superpoint_ros.levels import make_levels, merge_levels


def features(points, scores) -> Features:
    """Return features whose descriptors tell which they are."""
    points = np.array(points, np.float32).reshape(-1, 2)
    return Features(points, np.array(scores, np.float32), np.array(scores, np.float32)[:, None])


def test_each_level_is_smaller_down_to_what_the_network_takes():
    image = np.random.default_rng(0).integers(0, 256, (60, 100), dtype=np.uint8)
    levels = make_levels(image, 4)
    assert [level.shape for level in levels] == [(60, 100), (36, 60), (22, 36)]
    assert levels[0] is image
    assert abs(levels[1].mean() - image.mean()) < 1
    assert [level.shape for level in make_levels(image, 1)] == [(60, 100)]


def test_the_best_of_all_levels_stay_best_first():
    fine = features([[10, 10], [40, 20]], [0.9, 0.3])
    coarse = features([[12, 11], [60, 30], [41.4, 23.2]], [0.95, 0.5, 0.4])
    merged = merge_levels([fine, coarse], (60, 80), DetectionSettings(nms_radius=3))
    assert merged.scores == pytest.approx([0.95, 0.5, 0.4])
    assert merged.keypoints[0] == pytest.approx([12, 11])
    # A radius less, and a point that is 3 pixels away stays.
    merged = merge_levels([fine, coarse], (60, 80), DetectionSettings(nms_radius=2))
    assert merged.scores == pytest.approx([0.95, 0.5, 0.4, 0.3])
    few = merge_levels([fine, coarse], (60, 80), DetectionSettings(max_keypoints=2))
    assert few.scores == pytest.approx([0.95, 0.5])
    assert few.descriptors[:, 0] == pytest.approx(few.scores)


def test_of_equal_points_the_finer_stays():
    fine, coarse = features([[10.2, 10]], [0.5]), features([[9.9, 10]], [0.5])
    merged = merge_levels([fine, coarse], (60, 80), DetectionSettings())
    assert merged.keypoints == pytest.approx(np.array([[10.2, 10]]))


def test_no_keypoints_are_a_result():
    none = Features.empty(1)
    assert len(merge_levels([none, none], (60, 80), DetectionSettings())) == 0
    one = features([[1, 2]], [0.5])
    assert len(merge_levels([none, one], (60, 80), DetectionSettings())) == 1


def test_a_grid_spreads_what_is_kept():
    fine = features([[10, 10], [20, 10], [30, 10]], [0.9, 0.8, 0.7])
    coarse = features([[70, 50]], [0.1])
    spread = DetectionSettings(max_keypoints=2, grid_cells=2)
    merged = merge_levels([fine, coarse], (60, 80), spread)
    assert merged.scores == pytest.approx([0.9, 0.1])


@settings(deadline=None)
@given(
    points=arrays(np.float32, (30, 2), elements=strategies.floats(0, 59, width=32)),
    radius=strategies.integers(0, 6),
)
def test_none_has_another_within_the_radius(points, radius):
    scores = np.linspace(1, 0.1, 30)
    half = features(points[::2], scores[::2]), features(points[1::2], scores[1::2])
    merged = merge_levels(half, (60, 60), DetectionSettings(nms_radius=radius))
    assert (np.diff(merged.scores) <= 0).all()
    assert merged.scores[0] == 1
    pixels = np.rint(merged.keypoints)
    apart = np.abs(pixels[:, None] - pixels[None]).max(axis=2)
    assert (apart + 1000 * np.eye(len(pixels)) > radius).all()
    # Whoever is not there was too near to a better one.
    for point, score in zip(points, scores, strict=True):
        near = np.abs(np.rint(point) - pixels).max(axis=1) <= radius
        assert near.any()
        assert merged.scores[near].max() >= np.float32(score)
