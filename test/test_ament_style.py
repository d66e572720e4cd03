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

"""The style checks that every ROS 2 package passes."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [str(ROOT / name) for name in ('superpoint_ros', 'launch', 'test', 'setup.py')]


def test_flake8():
    ament_flake8 = pytest.importorskip('ament_flake8.main', reason='ament_flake8 is not installed')
    status, errors = ament_flake8.main_with_errors(
        argv=['--config', str(ROOT / 'test' / 'ament_flake8.ini'), *SOURCES]
    )
    assert status == 0, f'{len(errors)} errors:\n' + '\n'.join(errors)


def test_pep257():
    ament_pep257 = pytest.importorskip('ament_pep257.main', reason='ament_pep257 is not installed')
    assert ament_pep257.main(argv=SOURCES[:1]) == 0


def test_copyright():
    ament_copyright = pytest.importorskip(
        'ament_copyright.main', reason='ament_copyright is not installed'
    )
    named = [str(ROOT / name) for name in ('LICENSE', 'CONTRIBUTING.md')]
    assert ament_copyright.main(argv=[*SOURCES, *named]) == 0


def test_xmllint():
    ament_xmllint = pytest.importorskip(
        'ament_xmllint.main', reason='ament_xmllint is not installed'
    )
    assert ament_xmllint.main(argv=[str(ROOT / 'package.xml')]) == 0
