# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Compiled functions work where nothing can be kept as well."""

from superpoint_ros.detection import compiled as module
from superpoint_ros.detection.compiled import compiled


def doubled(x):
    return 2 * x


def test_without_a_folder_to_keep_it_in_a_function_is_compiled_each_time(monkeypatch):
    njit, asked = module.njit, []

    def without_folder(cache=False, **settings):
        asked.append(cache)
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return njit(**settings)

    monkeypatch.setattr(module, 'njit', without_folder)
    assert compiled(doubled)(21) == 42
    assert asked == [True, False]
