# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The feature input of VINS-Fusion and OpenVINS takes our tracks.

The tests compile the estimators' own code, without ROS, and run it on messages of the tracker.
They need the sources, which are not part of this repository (both are under the GPL):

    git clone https://github.com/HKUST-Aerial-Robotics/VINS-Fusion
    git clone https://github.com/rpng/open_vins
    VINS_FUSION=VINS-Fusion OPEN_VINS=open_vins pytest test/integrations/test_estimators.py
"""

from __future__ import annotations

import os
from pathlib import Path
import re
import shutil
import subprocess

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from superpoint_ros import Detector
from superpoint_ros.odometry.odometry_settings import TrackerSettings
from superpoint_ros.odometry.tracker import Tracker
from superpoint_ros.resources import demo_photographs
from superpoint_ros.ros.messages.track_messages import tracks_to_message
from superpoint_ros.simulation.room import SimulatedRoom

ROOT = Path(__file__).resolve().parents[2]
EIGEN = Path('/usr/include/eigen3')
OPENCV = Path('/usr/include/opencv4')
COUNT = 8


def sources(variable):
    """Return the folder that an environment variable names, or skip."""
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f'{variable} does not name the folder of its sources')
    if shutil.which('g++') is None or not EIGEN.is_dir():
        pytest.skip('needs g++ and Eigen 3')
    return Path(folder).resolve()


def compiled(program, *words):
    """Compile a program from files and options."""
    command = ['g++', '-std=c++17', '-w', f'-I{EIGEN}', f'-I{EIGEN.parent}', f'-I{ROOT}/include']
    command += [f'-I{ROOT}/examples/cpp', *map(str, words), '-o', str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    return program


@pytest.fixture(scope='module')
def flight():
    """Return stamps, tracks, undistorted points and velocities of frames of a simulated room."""
    room = SimulatedRoom(demo_photographs(), rate=10, count=COUNT)
    # As in config/tracker_vins_fusion.yaml: a track that is missing in a frame does not come back.
    tracker = Tracker(TrackerSettings(max_lost_frames=0))
    detector = Detector.from_weights(max_keypoints=200)
    frames = []
    for frame in room:
        tracks = tracker.update(detector(frame.image), frame.stamp)
        points = room.camera.normalize(tracks.keypoints)
        velocities = tracks.velocities / room.camera.matrix[0, 0]
        frames.append((1000 + frame.stamp, tracks, points, velocities.astype(np.float32)))
    return frames


def write_messages(flight, folder, layout):
    """Write the tracks of each frame as a serialised message; return the paths."""
    paths = []
    for number, (stamp, tracks, points, velocities) in enumerate(flight):
        seconds = int(stamp)
        header = Header(stamp=Time(sec=seconds, nanosec=round((stamp - seconds) * 1e9)))
        message = tracks_to_message(tracks, header, points, velocities, layout)
        paths.append(folder / f'{number}.cdr')
        paths[-1].write_bytes(serialize_message(message))
    return paths


def observations(flight):
    """Return rows of id, number of the frame, x, y, u, v, velocity of x and y, by id."""
    rows = [
        (number, index, *point, *keypoint, *velocity)
        for index, (_, tracks, points, velocities) in enumerate(flight)
        for number, point, keypoint, velocity in zip(
            tracks.ids, points, tracks.keypoints, velocities, strict=True
        )
    ]
    return np.array(sorted(rows), np.float64)


def run(program, paths):
    """Return the numbers that a program prints."""
    done = subprocess.run([program, *paths], capture_output=True, text=True, check=True)
    return np.array([line.split() for line in done.stdout.splitlines()], np.float64)


READ = """
#include <fstream>
#include <iterator>
#include "plain_messages.hpp"

plain::PointCloud read(const char * path)
{
  std::ifstream file(path, std::ios::binary);
  std::istreambuf_iterator<char> begin(file), end;
  return plain::read_point_cloud({begin, end});
}
"""

VINS_HEADERS = {
    'ros/ros.h': '#pragma once\nnamespace ros { struct NodeHandle {}; }\n',
    'ros/console.h': '#pragma once\n#define ROS_DEBUG(...)\n#define ROS_WARN(...)\n',
    'ros/assert.h': (
        '#pragma once\n#include <cstdlib>\n#define ROS_ASSERT(x) if (!(x)) {std::abort();}\n'
    ),
}

# What the callback of VINS-Fusion needs around it: the message with ROS 1's members, and an
# estimator that passes the features to VINS-Fusion's manager.
VINS_BEFORE = """
#include <cstdio>
#include <memory>
#include "estimator/feature_manager.h"
#include "ros/assert.h"

double MIN_PARALLAX = 10.0 / FOCAL_LENGTH;
int NUM_OF_CAM = 1, STEREO = 0;
double INIT_DEPTH = 5.0;

namespace sensor_msgs
{
struct Stamp {double seconds; double toSec() const {return seconds;}};
struct Header {Stamp stamp;};
struct PointCloud
{
  Header header;
  std::vector<plain::Point32> points;
  std::vector<plain::Channel> channels;
};
using PointCloudConstPtr = std::shared_ptr<const PointCloud>;
}  // namespace sensor_msgs

Matrix3d rotations[WINDOW_SIZE + 1];
FeatureManager manager(rotations);
int frame = 0;

struct Estimator
{
  void inputFeature(
    double, const map<int, vector<pair<int, Eigen::Matrix<double, 7, 1>>>> & features)
  {
    manager.addFeatureCheckParallax(frame++, features, 0);
  }
} estimator;
map<int, Eigen::Vector3d> pts_gt;
"""

VINS_AFTER = """
int main(int count, char ** paths)
{
  for (int i = 1; i < count; ++i) {
    const auto message = read(paths[i]);
    auto cloud = std::make_shared<sensor_msgs::PointCloud>();
    cloud->header.stamp.seconds = message.header.sec + 1e-9 * message.header.nanosec;
    cloud->points = message.points;
    cloud->channels = message.channels;
    feature_callback(cloud);
  }
  for (const auto & feature : manager.feature) {
    for (size_t i = 0; i < feature.feature_per_frame.size(); ++i) {
      const auto & seen = feature.feature_per_frame[i];
      std::printf(
        "%d %d %.9g %.9g %.9g %.9g %.9g %.9g\\n", feature.feature_id,
        feature.start_frame + int(i), seen.point.x(), seen.point.y(), seen.uv.x(), seen.uv.y(),
        seen.velocity.x(), seen.velocity.y());
    }
  }
}
"""


def test_vins_fusion_stores_the_tracks_as_they_were_published(flight, tmp_path):
    folder = sources('VINS_FUSION') / 'vins_estimator' / 'src'
    if not (OPENCV / 'opencv2' / 'calib3d.hpp').is_file():
        pytest.skip('needs all headers of OpenCV (libopencv-dev)')
    for name, text in VINS_HEADERS.items():
        path = tmp_path / 'stubs' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    node = (folder / 'rosNodeTest.cpp').read_text()
    [callback] = re.findall(r'^void feature_callback\(.*?^}$', node, re.MULTILINE | re.DOTALL)
    driver = tmp_path / 'driver.cpp'
    driver.write_text(READ + VINS_BEFORE + callback + VINS_AFTER)
    manager = folder / 'estimator' / 'feature_manager.cpp'
    opencv = [f'-I{OPENCV}', '-lopencv_core', '-lopencv_calib3d', '-lopencv_imgproc']
    includes = [f'-I{tmp_path / "stubs"}', f'-I{folder}']
    program = compiled(tmp_path / 'vins', driver, manager, *includes, *opencv)
    found = run(program, write_messages(flight, tmp_path, 'vins_fusion'))
    assert len(found) > 500
    # VINS-Fusion takes the observations of a track to be from successive frames.
    expected = observations(flight)
    order = np.lexsort((found[:, 1], found[:, 0]))
    np.testing.assert_array_equal(found[order][:, :2], expected[:, :2])
    np.testing.assert_allclose(found[order][:, 2:], expected[:, 2:], rtol=1e-6, atol=1e-7)


OPENVINS = """
#include <cstdio>
#include "feat/Feature.h"
#include "feat/FeatureDatabase.h"
#include "superpoint_ros/messages.hpp"

int main(int count, char ** paths)
{
  ov_core::FeatureDatabase database;
  for (int i = 1; i < count; ++i) {
    const auto message = read(paths[i]);
    const double time = message.header.sec + 1e-9 * message.header.nanosec;
    for (const auto & track : superpoint_ros::read_tracks(message)) {
      database.update_feature(track.id, time, 0, track.u, track.v, track.x, track.y);
    }
  }
  for (const auto & each : database.get_internal_data()) {
    const auto & feature = *each.second;
    for (size_t i = 0; i < feature.timestamps.at(0).size(); ++i) {
      const auto & uv = feature.uvs.at(0)[i];
      const auto & normalized = feature.uvs_norm.at(0)[i];
      std::printf(
        "%zu %.6f %.9g %.9g %.9g %.9g\\n", feature.featid, feature.timestamps.at(0)[i],
        normalized(0), normalized(1), uv(0), uv(1));
    }
  }
}
"""


def test_openvins_stores_the_tracks_as_they_were_published(flight, tmp_path):
    folder = sources('OPEN_VINS') / 'ov_core' / 'src'
    driver = tmp_path / 'driver.cpp'
    driver.write_text(READ + OPENVINS)
    files = [folder / name for name in ('feat/Feature.cpp', 'feat/FeatureDatabase.cpp')]
    files.append(folder / 'utils' / 'print.cpp')
    program = compiled(tmp_path / 'openvins', driver, *files, f'-I{folder}')
    found = run(program, write_messages(flight, tmp_path, 'vins_mono'))
    assert len(found) > 500
    expected = observations(flight)
    order = np.lexsort((found[:, 1], found[:, 0]))
    np.testing.assert_array_equal(found[order][:, 0], expected[:, 0])
    stamps = np.array([stamp for stamp, *_ in flight])[expected[:, 1].astype(int)]
    np.testing.assert_allclose(found[order][:, 1], stamps, atol=1e-6)
    np.testing.assert_allclose(found[order][:, 2:], expected[:, 2:6], rtol=1e-6, atol=1e-7)
