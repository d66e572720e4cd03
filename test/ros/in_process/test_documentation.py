# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""docs/node.md lists what the node declares: parameters, launch arguments, topics, services."""

from __future__ import annotations

from pathlib import Path
import re

import pytest

from superpoint_ros.resources import share_directory

LAUNCH_FILES = ('detector', 'stereo', 'rgbd', 'demo')
PAGE = Path(__file__).parents[3] / 'docs' / 'node.md'


def table(heading, which=0):
    """Return the cells of the rows of a table after a heading, without the table's head."""
    text = PAGE.read_text(encoding='utf-8')
    section = text[text.index(f'## {heading}\n') :]
    rows = re.findall(r'(?:^\|.*\n)+', section, re.MULTILINE)[which].splitlines()
    return [[cell.strip() for cell in row.strip('|').split('|')] for row in rows[2:]]


def test_the_node_has_the_topics_and_services_that_the_page_lists(start_inside):
    # Another name than in other tests, whose detectors may still be in the graph.
    remappings = ['__node:=documented']
    system = start_inside(remappings, normalized_coordinates=True, depth_source='image')
    node, name = system.node, '/documented'
    rows = [[cell.replace('`', '') for cell in row] for row in table('Topics')]

    def full(topic):
        return topic.replace('~', name) if topic[0] in '~/' else f'/{topic}'

    def published():
        return node.get_publisher_names_and_types_by_node('documented', '/')

    outgoing = {full(row[0]): row[2].split(',')[0] for row in rows if row[1] == 'out'}
    incoming = {full(row[0]): row[2] for row in rows if row[1] == 'in'}
    hidden = {'/rosout', '/parameter_events', '/clock'}

    def topics(pairs):
        return {
            topic: kinds[0].replace('/msg', '') for topic, kinds in pairs if topic not in hidden
        }

    def subscribed():
        return node.get_subscriber_names_and_types_by_node('documented', '/')

    assert incoming.pop('/image/compressed') == 'sensor_msgs/CompressedImage'
    # They appear in the graph one after the other.
    system.wait_until(lambda: outgoing.keys() <= dict(published()).keys())
    system.wait_until(lambda: incoming.keys() <= dict(subscribed()).keys())
    assert topics(published()) == outgoing
    assert topics(subscribed()) == incoming

    listed = {}
    for names, kind in table('Lifecycle', which=1):
        listed |= {full(each): kind.strip('`') for each in re.findall(r'`([^`]+)`', names)}

    def offered():
        return topics(node.get_service_names_and_types_by_node('documented', '/'))

    system.wait_until(lambda: listed.keys() <= offered().keys())
    services = offered()
    own = {service: kind.replace('/srv', '') for service, kind in services.items()}
    assert own.keys() == listed.keys()
    for service, kind in own.items():
        assert listed[service] in (kind, kind.split('/')[0]), service


def test_the_diagnostics_have_the_values_that_the_page_lists(start_inside, image):
    documented, status = {}, ''
    for first, names, _ in table('Diagnostics'):
        status = first or status
        names = re.findall(r'`([^`]+)`', names.partition('by reason')[0])
        documented.setdefault(status, set()).update(names)
    network, camera = documented.values()
    system = start_inside()
    system.answers(image)
    for part, names, optional in (('network', network, 'last error'), ('/image', camera, 'depth')):
        published = {re.sub(r'( p\d\d)? \(.+\)$', '', name) for name in system.status(part)[2]}
        assert published == names - {optional}


def test_the_launch_files_arguments_are_those_of_the_page():
    pytest.importorskip('launch_ros', reason='launch_ros is not installed')
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    documented = {}
    for names, default, *marks, _ in table('Launch arguments'):
        names = re.findall(r'`(\w+)`', names)
        defaults = default.replace('`', '').split(', ')
        if len(names) != len(defaults):
            defaults = [default] * len(names)
        for file, mark in zip(LAUNCH_FILES, marks, strict=True):
            if mark == 'x':
                documented.setdefault(file, {}).update(zip(names, defaults, strict=True))
    for file, arguments in documented.items():
        path = share_directory() / 'launch' / f'{file}.launch.py'
        description = PythonLaunchDescriptionSource(str(path)).get_launch_description(
            LaunchContext()
        )
        own = [each for each in description.entities if isinstance(each, DeclareLaunchArgument)]
        declared = {each.name: each for each in own}
        assert declared.keys() == arguments.keys(), file
        for name, argument in declared.items():
            assert argument.description, name
            (default,) = argument.default_value or ('',)
            said = arguments[name]
            if name == 'params_file':
                assert default.text.endswith('config/detector.yaml')
            elif name in ('tracker_params_file', 'odometry_params_file'):
                assert default.text.endswith(said.removeprefix("the package's config/"))
            elif name == 'namespace':
                assert default.text == ('demo' if file == 'demo' else '')
            else:
                exception = re.fullmatch(r'(.+), in (.+): (.+)', said)
                if exception:
                    general, files, special = exception.groups()
                    said = special if file in files.split(' and ') else general
                assert (file, name, default.text) == (file, name, '' if said == "''" else said)
