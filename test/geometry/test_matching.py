# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Matches are mutual nearest neighbours, and can be held to a ratio or a similarity."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from superpoint_ros.geometry.matching import match_mutual


def directions(*degrees):
    """Return unit vectors in the plane at these angles, one a row."""
    angles = np.radians(np.array(degrees, dtype=np.float64))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_mutual_nearest_neighbours_are_matched():
    # 0 and 5 both prefer 4, which prefers 5; 90 and 92 prefer each other; 200 is left alone.
    a, b = directions(0, 90, 5), directions(92, 4, 200)
    assert match_mutual(a, b).tolist() == [[1, 0], [2, 1]]


def test_matches_are_int64_and_those_of_swapped_images_are_swapped():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(40, 8)), rng.normal(size=(50, 8))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    for options in ({}, {'ratio': 0.9}, {'min_similarity': 0.5}):
        forward, backward = match_mutual(a, b, **options), match_mutual(b, a, **options)
        assert forward.dtype == np.int64
        assert len(forward) > 0
        assert {tuple(row) for row in forward} == {tuple(row[::-1]) for row in backward}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 10_000))
def test_matches_equal_a_slow_search(n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 5)), rng.normal(size=(m, 5))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    expected = []
    for i in range(n):
        distances = [np.linalg.norm(a[i] - b[j]) for j in range(m)]
        if not distances:
            continue
        j = int(np.argmin(distances))
        if int(np.argmin([np.linalg.norm(a[k] - b[j]) for k in range(n)])) == i:
            expected.append([i, j])
    assert match_mutual(a, b).tolist() == expected


@pytest.mark.parametrize(('n', 'm'), [(0, 0), (0, 3), (3, 0)])
def test_no_descriptors_give_no_matches(n, m):
    found = match_mutual(np.zeros((n, 16)), np.zeros((m, 16)))
    assert found.shape == (0, 2)
    assert found.dtype == np.int64


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('options', [{}, {'ratio': 0.9}])
def test_a_descriptor_that_is_not_finite_matches_none_and_disturbs_no_other(value, options):
    a, b = directions(0, 40, 90), directions(1, 41, 91)
    a[1, 0] = value
    assert match_mutual(a, b, **options).tolist() == [[0, 0], [2, 2]]
    assert match_mutual(b, a, **options).tolist() == [[0, 0], [2, 2]]


def test_a_single_descriptor_passes_the_ratio_test():
    assert match_mutual(directions(0), directions(60), ratio=0.5).tolist() == [[0, 0]]


def test_the_ratio_test_removes_ambiguous_matches():
    # From 0 degrees, 10 and 12 are almost equally near; from 90, 91 is much nearer than 12.
    a, b = directions(0, 90), directions(10, 91, 12)
    assert match_mutual(a, b).tolist() == [[0, 0], [1, 1]]
    assert match_mutual(a, b, ratio=0.8).tolist() == [[1, 1]]
    # Chords of 10 and 12 degrees have the ratio 0.834: a ratio just above it keeps the match.
    assert match_mutual(a, b, ratio=0.83).tolist() == [[1, 1]]
    assert match_mutual(a, b, ratio=0.84).tolist() == [[0, 0], [1, 1]]


def test_the_minimum_similarity_of_matches_is_a_cosine():
    a, b = directions(0, 90), directions(-60, 95)
    assert match_mutual(a, b).tolist() == [[0, 0], [1, 1]]
    assert match_mutual(a, b, min_similarity=0.51).tolist() == [[1, 1]]
    assert match_mutual(a, b, min_similarity=0.499).tolist() == match_mutual(a, b).tolist()


def test_matching_names_wrong_shapes_and_ratios():
    for shapes in (((2, 2), (2, 3)), ((2,), (2, 2)), ((2, 2), (2,))):
        with pytest.raises(ValueError, match=re.escape(f'got {shapes[0]} and {shapes[1]}')):
            match_mutual(*map(np.zeros, shapes))
    with pytest.raises(ValueError, match=r'ratio must be above 0 and at most 1, got 1\.5'):
        match_mutual(directions(0), directions(0), ratio=1.5)


def test_pairs_that_are_not_allowed_are_not_matched():
    a, b = directions(0, 90), directions(2, 10, 91)
    allowed = np.array([[False, True, True], [False, False, False]])
    assert match_mutual(a, b).tolist() == [[0, 0], [1, 2]]
    assert match_mutual(a, b, allowed=allowed).tolist() == [[0, 1]]
    # The second neighbour is one that is allowed, too: without another there is no ratio.
    assert match_mutual(a, b, ratio=0.3, allowed=np.eye(2, 3) > 0).tolist() == [[0, 0], [1, 1]]
    with pytest.raises(ValueError, match=r'allowed must have the shape \(2, 3\), got \(3, 2\)'):
        match_mutual(a, b, allowed=allowed.T)
