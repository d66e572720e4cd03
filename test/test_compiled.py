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

"""Compiled functions work where nothing can be kept as well."""

from superpoint_ros import compiled as module
from superpoint_ros.compiled import compiled


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
