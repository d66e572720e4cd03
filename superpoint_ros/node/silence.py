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
