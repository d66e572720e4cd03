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
