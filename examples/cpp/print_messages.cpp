// Copyright 2026 The superpoint_ros developers
// SPDX-License-Identifier: Apache-2.0

/**
 * Prints the features or the tracks in a file with one serialised message.
 *
 *   g++ -std=c++17 -I include examples/cpp/print_messages.cpp -o print_messages
 *   ./print_messages features FILE      each line: u v score [x y z] descriptor...
 *   ./print_messages tracks FILE        each line: id u v x y velocity_x velocity_y depth
 *                                       depth_sigma variance_u covariance_uv variance_v
 *   ./print_messages track_cloud FILE   the same, of the topic tracks/cloud
 *   ./print_messages uncertainty FILE   of features, each line: [depth_sigma] [variance_u
 *                                       covariance_uv variance_v]
 *
 * With -DWITH_OPENCV the features are printed from cv::KeyPoint and cv::Mat.
 */

#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#ifdef WITH_OPENCV
#include <opencv2/core.hpp>
#endif

#include "plain_messages.hpp"
#include "superpoint_ros/messages.hpp"

namespace
{

std::vector<std::uint8_t> read_file(const std::string & path)
{
  std::ifstream file(path, std::ios::binary);
  if (!file) {throw std::invalid_argument("cannot read " + path);}
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void print_features(const superpoint_ros::Features & features)
{
#ifdef WITH_OPENCV
  const auto keypoints = superpoint_ros::to_cv_keypoints(features);
  const cv::Mat descriptors = superpoint_ros::to_cv_descriptors(features);
#endif
  for (std::size_t i = 0; i < features.size(); ++i) {
#ifdef WITH_OPENCV
    std::printf("%.9g %.9g %.9g", keypoints[i].pt.x, keypoints[i].pt.y, keypoints[i].response);
    const float * descriptor = descriptors.ptr<float>(int(i));
#else
    const auto & keypoint = features.keypoints[i];
    std::printf("%.9g %.9g %.9g", keypoint.u, keypoint.v, keypoint.score);
    const float * descriptor = features.descriptor(i);
#endif
    if (!features.positions.empty()) {
      const auto & at = features.positions[i];
      std::printf(" %.9g %.9g %.9g", at.x, at.y, at.z);
    }
    for (std::size_t k = 0; k < features.descriptor_size; ++k) {
      std::printf(" %.9g", descriptor[k]);
    }
    std::printf("\n");
  }
}

void print_tracks(const std::vector<superpoint_ros::Track> & tracks)
{
  for (const auto & each : tracks) {
    std::printf(
      "%d %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g\n", int(each.id), each.u, each.v,
      each.x, each.y, each.velocity_x, each.velocity_y, each.depth, each.depth_sigma,
      each.covariance.variance_u, each.covariance.covariance_uv, each.covariance.variance_v);
  }
}

void print_uncertainty(const superpoint_ros::Features & features)
{
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (!features.depth_sigmas.empty()) {std::printf("%.9g ", features.depth_sigmas[i]);}
    if (!features.covariances.empty()) {
      const auto & each = features.covariances[i];
      std::printf("%.9g %.9g %.9g", each.variance_u, each.covariance_uv, each.variance_v);
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int count, char ** arguments)
{
  const std::string kind = count == 3 ? arguments[1] : "";
  try {
    if (kind == "features") {
      print_features(superpoint_ros::read_features(
          plain::read_point_cloud2(read_file(arguments[2]))));
    } else if (kind == "uncertainty") {
      print_uncertainty(superpoint_ros::read_features(
          plain::read_point_cloud2(read_file(arguments[2]))));
    } else if (kind == "tracks") {
      print_tracks(superpoint_ros::read_tracks(plain::read_point_cloud(read_file(arguments[2]))));
    } else if (kind == "track_cloud") {
      print_tracks(superpoint_ros::read_track_cloud(
          plain::read_point_cloud2(read_file(arguments[2]))));
    } else {
      std::fprintf(stderr, "usage: print_messages features|tracks|track_cloud|uncertainty FILE\n");
      return 2;
    }
  } catch (const std::exception & error) {
    std::fprintf(stderr, "print_messages: %s\n", error.what());
    return 2;
  }
  return 0;
}
