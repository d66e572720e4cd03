# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""C++ programs read the same values from our messages as Python, with the header-only reader."""

from __future__ import annotations

from array import array
from dataclasses import replace
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point32
from rclpy.serialization import serialize_message
from sensor_msgs.msg import ChannelFloat32, PointCloud
from std_msgs.msg import Header

from superpoint_ros.features import Depths, Features
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.ros.messages.feature_messages import (
    features_from_message,
    features_to_message,
)
from superpoint_ros.ros.messages.track_messages import tracks_to_cloud, tracks_to_message

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / 'examples' / 'cpp' / 'print_messages.cpp'
COMPILER = shutil.which('g++') or shutil.which('clang++')
_ROOTS = np.random.default_rng(3).normal(size=(40, 2, 2)).astype(np.float32)
COVARIANCES = _ROOTS @ _ROOTS.transpose(0, 2, 1)
HEADER = Header(stamp=Time(sec=12, nanosec=345), frame_id='left')

pytestmark = pytest.mark.skipif(
    COMPILER is None or not EXAMPLE.is_file(),
    reason='needs g++ or clang++, and the examples of the source tree',
)

ROS_PROGRAM = """
#include <cstdio>
#include <sensor_msgs/msg/point_cloud.hpp>
#include <sensor_msgs/msg/point_cloud2.hpp>
#include "superpoint_ros/messages.hpp"

int main()
{
  sensor_msgs::msg::PointCloud2 cloud;
  const char * names[] = {"u", "v", "score", "descriptor"};
  for (unsigned i = 0; i < 4; ++i) {
    sensor_msgs::msg::PointField field;
    field.name = names[i];
    field.offset = 4 * i;
    field.datatype = sensor_msgs::msg::PointField::FLOAT32;
    field.count = i < 3 ? 1 : 2;
    cloud.fields.push_back(field);
  }
  const float point[] = {1.5f, 2.5f, 0.25f, 0.6f, 0.8f};
  cloud.height = cloud.width = 1;
  cloud.point_step = cloud.row_step = sizeof(point);
  const auto begin = reinterpret_cast<const unsigned char *>(point);
  cloud.data.assign(begin, begin + sizeof(point));
  const auto features = superpoint_ros::read_features(cloud);
  sensor_msgs::msg::PointCloud none;
  const char * channels[] = {"id", "u", "v", "velocity_x", "velocity_y"};
  for (const auto name : channels) {
    none.channels.emplace_back();
    none.channels.back().name = name;
  }
  std::printf(
    "%zu %g %g %g %g %zu\\n", features.size(), features.keypoints[0].u, features.keypoints[0].v,
    features.keypoints[0].score, features.descriptor(0)[1],
    superpoint_ros::read_tracks(none).size());
}
"""


def build(source, program, *options):
    """Compile a program, with warnings as errors."""
    command = [COMPILER, '-std=c++17', '-Wall', '-Wextra', '-Werror']
    command += [f'-I{ROOT / "include"}', str(source), '-o', str(program), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope='module')
def example(tmp_path_factory):
    return build(EXAMPLE, tmp_path_factory.mktemp('cpp') / 'print_messages')


@pytest.fixture
def printed(example, tmp_path):
    """Return a function that runs the example on a message and returns its numbers or error."""

    def run(kind, message, program=example):
        path = tmp_path / 'message.cdr'
        path.write_bytes(message if isinstance(message, bytes) else serialize_message(message))
        done = subprocess.run([program, kind, path], capture_output=True, text=True)
        if done.returncode:
            return done.stderr
        return np.array([line.split() for line in done.stdout.splitlines()], np.float32)

    return run


@pytest.fixture
def features():
    rng = np.random.default_rng(7)
    descriptors = rng.normal(size=(40, 64))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Features(rng.random((40, 2)) * 640, np.sort(rng.random(40))[::-1], descriptors)


def rows_of(features):
    """Return x, y, score and descriptor of each keypoint (N, 3 + D)."""
    return np.c_[features.keypoints, features.scores, features.descriptors]


@pytest.mark.parametrize('descriptor_format', ['float32', 'int8'])
def test_features_are_the_same_in_cpp_and_python(printed, features, descriptor_format):
    message = features_to_message(features, HEADER, descriptor_format)
    read = printed('features', message)
    np.testing.assert_allclose(read, rows_of(features_from_message(message)), atol=1e-7)


def test_cpp_reads_undistorted_positions_even_unknown_ones(printed, features):
    normalized = features.keypoints / 500 - 0.6
    normalized[3] = np.nan
    read = printed('features', features_to_message(features, HEADER, normalized=normalized))
    known = np.isfinite(normalized[:, 0])
    np.testing.assert_array_equal(read[known, 3:6], np.c_[normalized, np.ones(40)][known])
    assert np.isnan(read[3, 3:6]).all()
    np.testing.assert_allclose(read[:, 6:], features.descriptors, atol=1e-7)


def test_cpp_reads_messages_without_keypoints(printed):
    assert len(printed('features', features_to_message(Features.empty(64), HEADER))) == 0


def test_cpp_reads_big_endian_messages_with_gaps(printed, features):
    message = features_to_message(features, HEADER)
    points = np.zeros(40, np.dtype([('gap', 'V4'), ('row', '>f4', 67)]))
    points['row'] = rows_of(features)
    for field in message.fields:
        field.offset += 4
    message.is_bigendian, message.point_step = True, points.itemsize
    message.data = array('B', points.tobytes())
    np.testing.assert_array_equal(printed('features', message), rows_of(features))


def test_cpp_reads_depths_and_covariances_of_keypoints(printed, features):
    depths = Depths(np.linspace(1, 5, 40), np.linspace(0.1, 0.5, 40))
    message = features_to_message(
        replace(features, depths=depths),
        HEADER,
        normalized=features.keypoints / 500,
        covariances=COVARIANCES,
    )
    read = printed('uncertainty', message)
    expected = np.c_[depths.sigmas, COVARIANCES.reshape(40, 4)[:, [0, 1, 3]]]
    np.testing.assert_array_equal(read, expected)
    positions = printed('features', message)[:, 3:6]
    np.testing.assert_allclose(positions[:, 2], depths.values)
    np.testing.assert_allclose(positions[:, :2], features.keypoints / 500 * positions[:, 2:])


@pytest.mark.parametrize(
    'layout',
    ['vins_mono', 'vins_mono with depths', 'vins_fusion', 'cloud', 'cloud with depths'],
)
def test_tracks_are_the_same_in_cpp_and_python(printed, layout):
    rng = np.random.default_rng(1)
    ids = np.array([3, 9, 70000])
    points, velocities = rng.normal(size=(2, 3, 2)).astype(np.float32)
    keypoints = rng.random((3, 2)).astype(np.float32) * 640
    tracks = Tracks.new(ids, keypoints)
    depths = Depths([2.0, np.nan, 0.25], [0.1, np.nan, 0.1])  # exact in float32
    depth, covariance = np.full((3, 2), np.nan), np.full((3, 3), np.nan)
    if layout.endswith('with depths'):
        tracks = replace(tracks, depths=depths)
        depth = np.c_[depths.values, depths.sigmas]
        tracks = replace(tracks, covariances=COVARIANCES[:3])
        covariance = COVARIANCES[:3].reshape(3, 4)[:, [0, 1, 3]]
    if layout.startswith('cloud'):
        read = printed('track_cloud', tracks_to_cloud(tracks, HEADER, points, velocities))
    else:
        layout = layout.split()[0]
        message = tracks_to_message(tracks, HEADER, points, velocities, layout)
        read = printed('tracks', message)
    expected = np.c_[ids, keypoints, points, velocities, depth, covariance]
    np.testing.assert_array_equal(read, expected.astype(np.float32))


def test_cpp_names_what_is_wrong_with_a_message(printed, features):
    message = features_to_message(features, HEADER)
    message.fields[2].name = 'response'
    lacks = 'the message lacks the field score; it has u, v, response, descriptor'
    assert lacks in printed('features', message)
    message.fields[2].name = 'score'
    message.data = message.data[:-1]
    assert 'cut short: it needs 10720 bytes and has 10719' in printed('features', message)
    message = features_to_message(features, HEADER)
    message.fields[0].datatype = 8
    assert 'field u has the datatype 8' in printed('features', message)
    message.fields[0].datatype, message.fields[3].count = 7, 65
    assert 'field descriptor ends behind the 268 bytes' in printed('features', message)
    lost = PointCloud(points=[Point32()])
    names = ('id', 'u', 'v', 'velocity_x', 'velocity_y')
    lost.channels = [ChannelFloat32(name=name, values=[np.nan]) for name in names]
    assert 'the channel id has the value' in printed('tracks', lost)
    serialized = serialize_message(message)
    assert 'the serialised message is cut short' in printed('features', serialized[:-100])


def test_cpp_programs_get_keypoints_and_descriptors_of_opencv(printed, features, tmp_path):
    headers = [Path(prefix) / 'include' / 'opencv4' for prefix in ('/usr', '/usr/local')]
    headers = [folder for folder in headers if (folder / 'opencv2' / 'core.hpp').is_file()]
    if not headers:
        pytest.skip('the headers of OpenCV are not installed')
    options = ['-DWITH_OPENCV', '-isystem', str(headers[0]), '-lopencv_core']
    program = build(EXAMPLE, tmp_path / 'with_opencv', *options)
    read = printed('features', features_to_message(features, HEADER), program)
    np.testing.assert_allclose(read, rows_of(features), atol=1e-7)


def test_the_reader_accepts_the_messages_of_ros(tmp_path):
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(':'), sys.prefix]
    folders = [Path(prefix) / 'include' for prefix in prefixes if prefix]
    header = Path('sensor_msgs', 'sensor_msgs', 'msg', 'point_cloud2.hpp')
    includes = [folder for folder in folders if (folder / header).is_file()]
    if not includes:
        pytest.skip('the C++ headers of sensor_msgs are not installed')
    packages = sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())
    source = tmp_path / 'ros_program.cpp'
    source.write_text(ROS_PROGRAM)
    program = build(source, tmp_path / 'ros_program', *(f'-isystem{path}' for path in packages))
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == '1 1.5 2.5 0.25 0.8 0\n'


CMAKE_PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(example CXX)
find_package(superpoint_ros {version} REQUIRED)
add_executable(print_messages print_messages.cpp)
# What ament_target_dependencies(print_messages superpoint_ros) links.
target_link_libraries(print_messages {target})
"""


def configured(folder, version='', target='superpoint_ros::messages'):
    """Run CMake on the example with the package installed; return the process and the files."""
    if shutil.which('cmake') is None:
        pytest.skip('cmake is not installed')
    prefix, project, build_folder = folder / 'prefix', folder / 'project', folder / 'build'
    shutil.copytree(ROOT / 'include', prefix / 'include')
    shutil.copytree(ROOT / 'cmake', prefix / 'share' / 'superpoint_ros' / 'cmake')
    shutil.copy(ROOT / 'package.xml', prefix / 'share' / 'superpoint_ros')
    shutil.copytree(EXAMPLE.parent, project)
    (project / 'CMakeLists.txt').write_text(CMAKE_PROJECT.format(version=version, target=target))
    command = ['cmake', '-S', project, '-B', build_folder, f'-DCMAKE_PREFIX_PATH={prefix}']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done, ''.join(path.read_text() for path in build_folder.rglob('flags.make'))


@pytest.mark.parametrize('target', ['superpoint_ros::messages', '${superpoint_ros_TARGETS}'])
def test_cmake_finds_the_reader_in_the_prefix(tmp_path, target):
    done, flags = configured(tmp_path, target=target)
    assert done.returncode == 0, done.stderr
    # The target has the folder of the header: compiling is tested above.
    assert str(tmp_path / 'prefix' / 'include') in flags


@pytest.mark.parametrize(('version', 'found'), [('0.1', True), ('0.0.9', True), ('99', False)])
def test_cmake_finds_the_reader_by_version(tmp_path, version, found):
    done, _ = configured(tmp_path, version)
    assert (done.returncode == 0) == found, done.stderr
    own = re.search('<version>(.*)</version>', (ROOT / 'package.xml').read_text())[1]
    assert found or f'version: {own}' in done.stderr
