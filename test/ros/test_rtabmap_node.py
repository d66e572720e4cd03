# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Images with features for RTAB-Map.

rtabmap_msgs is not on PyPI: stand-ins with the same fields take the place of its messages. With
RTABMAP naming the folder of the sources of RTAB-Map, its own code reads the descriptors:

    git clone https://github.com/introlab/rtabmap
    RTABMAP=rtabmap pytest test/ros/test_rtabmap_node.py
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
import os
from pathlib import Path
import re
import shutil
import struct
import subprocess
import sys
from types import ModuleType
import zlib

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header

from superpoint_ros.cli.main import main
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.ros.messages.camera_messages import camera_info_message
from superpoint_ros.ros.messages.feature_messages import features_to_message
from superpoint_ros.ros.messages.image_messages import image_message
from support.noise_pictures import noise_picture
from support.ros_domain import ros_domain

INFO = '/rig/camera_info'


@dataclass
class Point2f:
    x: float = 0.0
    y: float = 0.0


@dataclass
class KeyPoint:
    pt: Point2f = field(default_factory=Point2f)
    size: float = 0.0
    angle: float = 0.0
    response: float = 0.0
    octave: int = 0
    class_id: int = 0


@dataclass
class RGBDImage:
    header: Header
    rgb_camera_info: CameraInfo
    depth_camera_info: CameraInfo
    rgb: object
    depth: object
    key_points: list = field(default_factory=list)
    points: list = field(default_factory=list)
    descriptors: object = b''


@pytest.fixture
def messages(monkeypatch):
    """The module of the messages, with stand-ins for those of rtabmap_msgs."""
    package, module = ModuleType('rtabmap_msgs'), ModuleType('rtabmap_msgs.msg')
    for kind in (Point2f, KeyPoint, RGBDImage):
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, 'rtabmap_msgs', package)
    monkeypatch.setitem(sys.modules, 'rtabmap_msgs.msg', module)
    names = ('superpoint_ros.ros.messages.rtabmap_messages', 'superpoint_ros.ros.rtabmap_node')
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    from superpoint_ros.ros.messages import rtabmap_messages

    yield rtabmap_messages
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def features():
    descriptors = np.random.default_rng(0).normal(size=(5, 64))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Features(np.arange(10).reshape(5, 2) + 0.25, np.linspace(0.9, 0.1, 5), descriptors)


def test_an_image_for_rtabmap_has_keypoints_and_descriptors(messages, features):
    header = Header(stamp=Time(sec=3), frame_id='camera')
    image = image_message(noise_picture(0), header)
    depth = image_message(np.ones((120, 160), np.uint8), header)
    info = camera_info_message(CameraModel.of_view((160, 120)), header)
    message = messages.rgbd_image_message(image, depth, info, features)
    assert message.header == header
    assert message.rgb is image
    assert message.depth is depth
    assert message.rgb_camera_info is message.depth_camera_info is info
    points = [[each.pt.x, each.pt.y] for each in message.key_points]
    np.testing.assert_array_equal(points, features.keypoints)
    scores = [each.response for each in message.key_points]
    np.testing.assert_allclose(scores, features.scores, rtol=1e-6)
    assert {(each.size, each.angle) for each in message.key_points} == {(8.0, -1.0)}
    assert message.points == []
    data = bytes(message.descriptors)
    assert struct.unpack('<3i', data[-12:]) == (5, 64, 5)
    rows = np.frombuffer(zlib.decompress(data[:-12]), '<f4').reshape(5, 64)
    np.testing.assert_array_equal(rows, features.descriptors)


def test_an_image_without_keypoints_has_empty_lists(messages):
    image = image_message(noise_picture(0))
    message = messages.rgbd_image_message(image, image, CameraInfo(), Features.empty(64))
    assert message.key_points == []
    assert len(message.descriptors) == 0


def test_rtabmap_reads_the_descriptors(messages, features, tmp_path):
    folder = os.environ.get('RTABMAP')
    if not folder:
        pytest.skip('RTABMAP does not name the folder of its sources')
    if shutil.which('g++') is None:
        pytest.skip('needs g++, zlib and OpenCV')
    source = (Path(folder) / 'corelib' / 'src' / 'Compression.cpp').read_text()
    begin = 'cv::Mat uncompressData(const unsigned char'
    [function] = re.findall(re.escape(begin) + r'.*?^}$', source, re.MULTILINE | re.DOTALL)
    (tmp_path / 'main.cpp').write_text(
        '#include <cstdio>\n#include <fstream>\n#include <iterator>\n#include <vector>\n'
        '#include <opencv2/core.hpp>\n#include <zlib.h>\n#define UERROR(...) std::exit(1)\n'
        f'{function}\n'
        'int main(int, char ** words)\n{\n'
        '  std::ifstream file(words[1], std::ios::binary);\n'
        '  std::istreambuf_iterator<char> begin(file), end;\n'
        '  const std::vector<unsigned char> bytes(begin, end);\n'
        '  const cv::Mat matrix = uncompressData(bytes.data(), bytes.size());\n'
        '  for (int i = 0; i < matrix.rows; ++i) {\n'
        '    for (int k = 0; k < matrix.cols; ++k) {\n'
        '      std::printf("%.9g ", matrix.at<float>(i, k));\n    }\n'
        '    std::printf("\\n");\n  }\n}\n'
    )
    command = ['g++', '-w', 'main.cpp', '-o', 'main', '-I/usr/include/opencv4']
    subprocess.run([*command, '-lopencv_core', '-lz'], cwd=tmp_path, check=True)
    (tmp_path / 'data').write_bytes(bytes(messages.compressed_matrix(features.descriptors)))
    done = subprocess.run([tmp_path / 'main', tmp_path / 'data'], capture_output=True, text=True)
    read = np.array([line.split() for line in done.stdout.splitlines()], np.float32)
    np.testing.assert_array_equal(read, features.descriptors)


@pytest.fixture
def bridge(messages, monkeypatch):
    """Return an observer, the node, and what it publishes; it warns at once."""
    from superpoint_ros.ros import rtabmap_node
    from support.ros import Observer

    # A message that rclpy can send stands for RGBDImage.
    monkeypatch.setattr(rtabmap_node, 'RGBDImage', PointCloud2)
    monkeypatch.setattr(
        rtabmap_node,
        'rgbd_image_message',
        lambda image, depth, info, found: PointCloud2(
            header=image.header, width=len(found), height=info.height, point_step=depth.width
        ),
    )
    monkeypatch.setattr(rtabmap_node, 'TROUBLE', 0.0)
    graph = Observer(ros_domain(8))
    words = ['--ros-args', '-r', 'depth:=/rig/aligned']
    node = rtabmap_node.RtabmapNode(namespace='/rig', cli_args=words, context=graph.context)
    graph.executor.add_node(node)
    yield graph, node, graph.listen(PointCloud2, '/rig/rgbd_image')
    node.destroy_node()
    graph.close()


def publish_frame(graph, features, stamp, delay=0):
    """Publish the messages of a frame; features have a stamp that is `delay` ms later."""
    graph.publish(camera_info_message(CameraModel.of_view((160, 120)), Header()), INFO, stamp)
    graph.publish(image_message(noise_picture(0)), '/rig/image', stamp)
    graph.publish(image_message(noise_picture(1)), '/rig/aligned', stamp)
    graph.publish(features_to_message(features, Header()), '/rig/features', stamp + delay)


def test_the_node_publishes_when_image_depth_and_features_have_arrived(bridge, features):
    graph, node, received = bridge
    for step in range(100):  # the image and the calibration are best effort
        publish_frame(graph, features, 1000 + step)
        graph.rest(0.2)
        if received:
            break
    assert (received[0].width, received[0].height, received[0].point_step) == (5, 120, 160)
    assert node.published >= 1


def test_the_topic_whose_stamps_differ_is_named(bridge, features, capfd):
    graph, _, received = bridge
    # What arrives first is released first, after 2 s.
    warning = re.compile('no message of /rig/(features|image, /rig/aligned) has the stamp')
    output = ''
    for step in range(200):
        publish_frame(graph, features, 1000 + 2 * step, delay=1)
        graph.rest(0.2)
        output += capfd.readouterr().err
        if warning.search(output):
            break
    assert warning.search(output)
    assert not received


@pytest.mark.parametrize(
    ('lacks', 'warning'),
    [
        ('camera_info', 'no calibration received on /rig/camera_info'),
        ('fields', '/rig/features: the message lacks the field'),
    ],
)
def test_what_the_messages_of_a_frame_lack_is_named(bridge, features, capfd, lacks, warning):
    graph, _, received = bridge
    points = PointCloud2() if lacks == 'fields' else features_to_message(features, Header())
    output = ''
    for step in range(100):
        if lacks != 'camera_info':
            info = camera_info_message(CameraModel.of_view((160, 120)), Header())
            graph.publish(info, INFO, 1000 + step)
        graph.publish(image_message(noise_picture(0)), '/rig/image', 1000 + step)
        graph.publish(image_message(noise_picture(1)), '/rig/aligned', 1000 + step)
        graph.publish(points, '/rig/features', 1000 + step)
        graph.rest(0.2)
        output += capfd.readouterr().err
        if warning in output:
            break
    assert warning in output
    assert not received


@pytest.mark.parametrize(('count', 'said', 'status'), [(2, '2 messages', 0), (0, '0 messages', 1)])
def test_the_command_publishes_until_it_is_interrupted(
    messages, monkeypatch, capsys, count, said, status
):
    rtabmap_node = import_module('superpoint_ros.ros.rtabmap_node')  # again, as the command does

    class Interrupted(rtabmap_node.RtabmapNode):
        """A node that has published some messages when Ctrl-C comes."""

        def __init__(self, **options):
            super().__init__(**options)
            self.published = count
            assert self.resolve_topic_name('depth') == '/rig/aligned'
            self.create_timer(0.01, self.interrupt)

        def interrupt(self):
            raise KeyboardInterrupt

    monkeypatch.setenv('ROS_DOMAIN_ID', str(ros_domain(8)))
    monkeypatch.setattr(rtabmap_node, 'RGBDImage', PointCloud2)
    monkeypatch.setattr(rtabmap_node, 'RtabmapNode', Interrupted)
    options = ['--namespace', '/rig', '--remap', 'depth:=aligned']
    assert main(['rtabmap-bridge', *options]) == status
    assert capsys.readouterr().out == f'{said}\n'


@pytest.mark.skipif('rtabmap_msgs' in sys.modules, reason='rtabmap_msgs is installed')
def test_the_command_names_the_missing_package(capsys):
    assert main(['rtabmap-bridge']) == 2
    assert 'the ROS package rtabmap_msgs is missing: apt install' in capsys.readouterr().err
