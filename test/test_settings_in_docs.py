# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pages and parameter files have the names, defaults, ranges and texts of the settings tables."""

from __future__ import annotations

from pathlib import Path
import runpy

import pytest

pytest.importorskip('yaml', reason='PyYAML is not installed')
pytest.importorskip('rclpy', reason='rclpy is not installed')

import yaml

from superpoint_ros.common.settings_table import table_of
from superpoint_ros.ros.detector.detector_parameters import DETECTOR_GROUPS
from superpoint_ros.ros.parameters import LifecycleSettings
from superpoint_ros.ros.tracker_node import TRACKER_GROUPS
from superpoint_ros.ros.visual_odometry_node import ODOMETRY_GROUPS

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'scripts' / 'update_settings.py'


@pytest.fixture(scope='module')
def script():
    if not SCRIPT.is_file():
        pytest.skip('the scripts are not part of an installation')
    return runpy.run_path(str(SCRIPT))


def test_pages_and_parameter_files_are_up_to_date(script):
    marked = 0
    for path in script['FILES']:
        text = path.read_text(encoding='utf-8')
        assert script['updated'](text, path.suffix) == text, f'run {SCRIPT.name}: {path.name}'
        marked += 'settings: ' in text
    assert marked >= 5


def test_a_table_has_type_default_allowed_values_and_whether_it_is_live(script):
    page = script['updated']('<!-- settings: DetectionSettings -->\n<!-- end -->\n', '.md')
    assert '| `nms_radius` | integer | 3 | 0 to 64 px | yes | NMS radius (square' in page
    assert '| `subpixel` | bool | true | | yes | Refine' in page
    assert '| `keypoints` | string | hessian | hessian, heatmap | yes | ' in page


def test_an_unknown_group_of_settings_is_named(script):
    with pytest.raises(ValueError, match='there is no group of settings Nonsense'):
        script['updated']('<!-- settings: Nonsense -->\n<!-- end -->\n', '.md')


@pytest.mark.parametrize(
    ('file', 'groups'),
    [
        ('detector.yaml', DETECTOR_GROUPS),
        ('tracker.yaml', (LifecycleSettings, *TRACKER_GROUPS)),
        ('visual_odometry.yaml', (LifecycleSettings, *ODOMETRY_GROUPS)),
    ],
)
def test_a_parameter_file_has_every_parameter_with_its_default(file, groups):
    values = yaml.safe_load((ROOT / 'config' / file).read_text())['/**']['ros__parameters']
    rows = [row for group in groups for row in table_of(group).values()]
    assert values == {row.name: row.default for row in rows}
