# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The configurations of RViz and Foxglove show what the nodes publish."""

from __future__ import annotations

import json
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_viewer_configurations_show_topics_that_the_nodes_publish():
    yaml = pytest.importorskip('yaml', reason='PyYAML is not installed')
    pages = ''.join((ROOT / 'docs' / name).read_text() for name in ('node.md', 'odometry.md'))
    for name in ('superpoint.rviz', 'foxglove_layout.json'):
        # JSON is YAML.
        text = (ROOT / 'config' / name).read_text()
        assert yaml.safe_load(text)
        topics = set(
            re.findall(
                r'/((?:features|tracks)/overlay|tracks/cloud|path|odometry|diagnostics)\b', text
            )
        )
        assert {'features/overlay', 'tracks/overlay', 'path', 'odometry'} <= topics
        assert all(f'`{topic}`' in pages or f'`/{topic}`' in pages for topic in topics)


RVIZ_DISPLAYS = {
    'rviz_default_plugins/Image': 'sensor_msgs/Image',
    'rviz_default_plugins/PointCloud2': 'sensor_msgs/PointCloud2',
    'rviz_default_plugins/Path': 'nav_msgs/Path',
    'rviz_default_plugins/Odometry': 'nav_msgs/Odometry',
}
"""Message type that each display of RViz subscribes to (rviz, branch jazzy)."""

FOXGLOVE_PANELS = {
    'Image': {'sensor_msgs/Image'},
    '3D': {'nav_msgs/Path', 'nav_msgs/Odometry', 'sensor_msgs/PointCloud2'},
    'DiagnosticSummary': {'diagnostic_msgs/DiagnosticArray'},
}
"""Message types that each panel of Foxglove shows (foxglove/studio)."""


def published_types():
    """Return the message type of each topic that the pages list as published."""
    pages = ''.join((ROOT / 'docs' / name).read_text() for name in ('node.md', 'odometry.md'))
    rows = re.findall(r'^\| `/?([\w/]+)` \| out \| `([\w/]+)`', pages, re.MULTILINE)
    return {f'/{topic}': kind for topic, kind in rows}


def test_each_display_of_rviz_subscribes_to_a_topic_of_its_type_and_reliability():
    yaml = pytest.importorskip('yaml', reason='PyYAML is not installed')
    content = yaml.safe_load((ROOT / 'config' / 'superpoint.rviz').read_text())
    displays = [each for each in content['Visualization Manager']['Displays'] if 'Topic' in each]
    assert {each['Class'] for each in displays} == RVIZ_DISPLAYS.keys()
    for display in displays:
        topic = display['Topic']
        assert published_types()[topic['Value']] == RVIZ_DISPLAYS[display['Class']]
        assert (topic['Reliability Policy'], topic['Durability Policy']) == (
            'Reliable',
            'Volatile',
        )


def test_each_panel_of_foxglove_shows_topics_of_its_types_and_has_a_place():
    content = json.loads((ROOT / 'config' / 'foxglove_layout.json').read_text())
    for panel, settings in content['configById'].items():
        shown = re.findall(r'"(/[\w/]+)"', json.dumps(settings))
        assert shown
        kinds = {published_types()[topic] for topic in shown}
        assert kinds <= FOXGLOVE_PANELS[panel.partition('!')[0]]

    def leaves(node):
        if isinstance(node, str):
            return [node]
        assert node['direction'] in ('row', 'column')
        return leaves(node['first']) + leaves(node['second'])

    assert sorted(leaves(content['layout'])) == sorted(content['configById'])
