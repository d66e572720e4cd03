# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Why no images come on a topic."""

from __future__ import annotations

from rclpy.node import Node


def reason_of_silence(
    node: Node, topic: str, topic_type: str, name: str = 'image', content: str = 'images'
) -> str:
    """
    Return why nothing of the type (`sensor_msgs/msg/Image`) comes, as far as can be told.

    `name` is the topic's before it is remapped, `content` what it carries.
    """
    publishers = node.get_publishers_info_by_topic(topic)
    others = sorted({p.topic_type for p in publishers if p.topic_type != topic_type})
    if others:
        return f'the topic has the type {", ".join(others)}, not {topic_type}'
    if publishers:
        return f'{len(publishers)} publisher(s) there send nothing that reaches this node'
    topics = node.get_topic_names_and_types()
    there = sorted(name for name, types in topics if topic_type in types)
    there = [name for name in there if name != topic and not name.endswith('features/overlay')]
    known = f'no topic has {content}'
    if there:
        known = f'topics with {content} are {", ".join(there)}'
    return f'nobody publishes there; {known} (remap with {name}:=TOPIC)'
