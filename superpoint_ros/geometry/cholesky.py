# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Cholesky decomposition of small symmetric matrices, for compiled loops.

`size` is the number of rows. It is an argument because the compiler unrolls loops of a constant
length. Arrays are float64.
"""

import numpy as np

from superpoint_ros.common.compiled import inlined


@inlined
def decompose(matrix, added, least, size, lower):
    """
    Write the lower triangular matrix (size, size) whose product with its transpose is the matrix.

    `added` are a factor and a constant: the factor times the diagonal of the matrix, and the
    constant, are added to it before. Return False if the matrix is not positive definite: if a
    squared diagonal element of the result is not more than `least` times that of the matrix.
    """
    factor, constant = added
    for a in range(size):
        for b in range(a + 1):
            total = matrix[a, b]
            for k in range(b):
                total -= lower[a, k] * lower[b, k]
            if a == b:
                total += factor * matrix[a, a] + constant
                if not total > least * matrix[a, a]:
                    return False
                lower[a, a] = np.sqrt(total)
            else:
                lower[a, b] = total / lower[b, b]
    return True


@inlined
def solve(lower, right, size, solution):
    """Write the solution (size,) of the equations with this decomposition and right side."""
    for a in range(size):
        total = right[a]
        for k in range(a):
            total -= lower[a, k] * solution[k]
        solution[a] = total / lower[a, a]
    for a in range(size - 1, -1, -1):
        total = solution[a]
        for k in range(a + 1, size):
            total -= lower[k, a] * solution[k]
        solution[a] = total / lower[a, a]
