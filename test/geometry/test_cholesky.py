# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Small symmetric systems of equations: solutions are those of NumPy, others are refused."""

import numpy as np
import pytest

from superpoint_ros.geometry.cholesky import decompose, solve


@pytest.mark.parametrize('size', [1, 4, 6])
def test_the_solution_is_that_of_the_matrix_with_its_enlarged_diagonal(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(size, size))
    matrix, right = root @ root.T + np.eye(size), rng.normal(size=size)
    lower, solution = np.zeros((size, size)), np.empty(size)
    assert decompose.py_func(matrix, (0.1, 1e-3), 0.0, size, lower)
    solve.py_func(lower, right, size, solution)
    enlarged = matrix + np.diag(0.1 * np.diag(matrix) + 1e-3)
    np.testing.assert_allclose(lower @ lower.T, enlarged, atol=1e-12)
    np.testing.assert_allclose(solution, np.linalg.solve(enlarged, right), atol=1e-12)


@pytest.mark.parametrize(
    ('matrix', 'least', 'usable'),
    [
        ([[1, 2], [2, 1]], 0.0, False),  # indefinite
        ([[1, 1], [1, 1]], 0.0, False),  # singular
        ([[1, np.nan], [np.nan, 1]], 0.0, False),
        ([[1, 1], [1, 1.001]], 1e-4, True),
        ([[1, 1], [1, 1.001]], 1e-2, False),
        ([[1e-3, 0], [0, 1e3]], 0.5, True),  # the margin is relative to each element
    ],
)
def test_a_matrix_must_be_positive_definite_by_a_margin(matrix, least, usable):
    matrix = np.array(matrix, float)
    assert decompose.py_func(matrix, (0.0, 0.0), least, 2, np.zeros((2, 2))) == usable
