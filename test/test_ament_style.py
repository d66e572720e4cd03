# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The style checks that every ROS 2 package passes."""

from __future__ import annotations

from pathlib import Path
import shutil
from typing import NamedTuple

import pytest


class LicenseEntryPoint(NamedTuple):
    """A licence as ament_copyright reads it from the entry points of its group."""

    name: str
    spdx: str
    file_headers: list[str]
    license_files: list[str]
    contributing_files: list[str]


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
    # Lists of attributes and arguments are written as Google's style guide has them.
    ignored = ['--add-ignore', 'D406', 'D407', 'D413', '--']
    assert ament_pep257.main(argv=[*ignored, *SOURCES[:1]]) == 0


def test_copyright(monkeypatch):
    ament_copyright = pytest.importorskip(
        'ament_copyright.main', reason='ament_copyright is not installed'
    )
    # The checker compares whole licence headers and recognises SPDX identifiers only if they are
    # registered, see https://github.com/ament/ament_lint/issues/462.
    from ament_copyright import parser

    spdx = LicenseEntryPoint(
        'Apache-2.0 by SPDX identifier',
        'Apache-2.0',
        ['{copyright}\nSPDX-License-Identifier: Apache-2.0'],
        [],
        [],
    )
    licenses = {**parser.get_licenses(), 'apache2_spdx': spdx}
    monkeypatch.setattr(parser, 'get_licenses', lambda: licenses)
    named = [str(ROOT / name) for name in ('LICENSE', 'CONTRIBUTING.md')]
    assert ament_copyright.main(argv=[*SOURCES, *named]) == 0


def test_xmllint():
    ament_xmllint = pytest.importorskip(
        'ament_xmllint.main', reason='ament_xmllint is not installed'
    )
    if shutil.which('xmllint') is None:
        pytest.skip('the program xmllint is not installed')
    assert ament_xmllint.main(argv=[str(ROOT / 'package.xml')]) == 0
