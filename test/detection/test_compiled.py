# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Compiled functions work without a cache, too."""

from superpoint_ros.detection import compiled as module
from superpoint_ros.detection.compiled import compiled


def doubled(x):
    return 2 * x


def test_a_function_is_compiled_without_a_cache_if_no_folder_is_writable(monkeypatch):
    njit, asked = module.njit, []

    def without_folder(cache=False, **settings):
        asked.append(cache)
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return njit(**settings)

    monkeypatch.setattr(module, 'njit', without_folder)
    assert compiled(doubled)(21) == 42
    assert asked == [True, False]
