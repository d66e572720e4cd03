// Copyright 2026 The superpoint_ros developers
// SPDX-License-Identifier: Apache-2.0

/**
 * Reads the messages of superpoint_ros: `features` and `tracks/cloud` (sensor_msgs/PointCloud2) and
 * `tracks` (sensor_msgs/PointCloud).
 *
 * The functions are templates and use only the members of the messages: they read
 * `sensor_msgs::msg::PointCloud2` of ROS 2, and any struct with the same members. Keypoints are in
 * pixels; the centre of the top-left pixel is (0, 0). Fields may have any order and gaps, and
 * either byte order; fields that are not asked for are ignored. A message that lacks something or
 * is cut short raises std::invalid_argument, which names it.
 *
 * If opencv2/core.hpp was included before, there are also `to_cv_keypoints`,
 * `to_cv_descriptors` and `to_cv_points`. C++14, no other dependencies.
 */

#ifndef SUPERPOINT_ROS__MESSAGES_HPP_
#define SUPERPOINT_ROS__MESSAGES_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace superpoint_ros
{

/// Numbers of the datatypes of sensor_msgs/PointField that this header reads.
enum class Datatype : std::uint8_t { int8 = 1, int32 = 5, float32 = 7 };

/// Position of a keypoint in pixels, and its score.
struct Keypoint
{
  float u, v, score;
};

/// A point in the optical frame of the camera: x to the right, y down, z forward.
struct Point
{
  float x, y, z;
};

/// Covariance of a position in the image, in squared pixels.
struct Covariance
{
  float variance_u, covariance_uv, variance_v;
};

/// Features of an image, highest score first.
struct Features
{
  std::vector<Keypoint> keypoints;
  /// Length D of a descriptor; known even if there are no keypoints.
  std::size_t descriptor_size = 0;
  /// N rows of D, one after another, each of unit length.
  std::vector<float> descriptors;
  /// Undistorted position of each keypoint; empty if the message has no x, y and z.
  /// In metres if the message has the field depth_sigma and that is finite, otherwise at z = 1.
  /// The components of an unknown position are NaN.
  std::vector<Point> positions;
  /// Standard deviation of z in metres, NaN if the depth is unknown; empty if the message has no
  /// depths.
  std::vector<float> depth_sigmas;
  /// Covariance of each keypoint; empty if the message has none.
  std::vector<Covariance> covariances;

  std::size_t size() const {return keypoints.size();}

  /// Return the descriptor of a keypoint, D floats.
  const float * descriptor(std::size_t index) const
  {
    return descriptors.data() + index * descriptor_size;
  }
};

/// A tracked point of one image.
struct Track
{
  /// Number of the track; it is the same in all images that see the point.
  std::int32_t id;
  /// Position in pixels.
  float u, v;
  /// Undistorted position at depth z = 1, or the pixels if the tracker publishes these.
  float x, y;
  /// Velocity of x and y per second; 0 for a new track.
  float velocity_x, velocity_y;
  /// Depth along the optical axis and its standard deviation in metres; NaN if they are unknown.
  float depth, depth_sigma;
  /// Covariance of u and v; NaN if it is unknown.
  Covariance covariance;
};

namespace detail
{

inline void require(bool holds, const std::string & problem)
{
  if (!holds) {throw std::invalid_argument(problem);}
}

/// Return the number of type T at `bytes`, of which `swapped` says whether to reverse the order.
template<class T>
T number_at(const std::uint8_t * bytes, bool swapped)
{
  std::uint8_t copy[sizeof(T)];
  std::memcpy(copy, bytes, sizeof(T));
  if (swapped) {std::reverse(copy, copy + sizeof(T));}
  T value;
  std::memcpy(&value, copy, sizeof(T));
  return value;
}

inline bool is_big_endian_host()
{
  const std::uint16_t one = 1;
  std::uint8_t first;
  std::memcpy(&first, &one, 1);
  return first == 0;
}

/// One field of all points of a PointCloud2.
template<class PointCloud2>
class Column
{
public:
  /// `allowed` are the datatypes that the field may have.
  Column(
    const PointCloud2 & message, const std::string & name, std::vector<Datatype> allowed,
    bool is_vector = false)
  : message_(message), swapped_(bool(message.is_bigendian) != is_big_endian_host())
  {
    std::string names;
    bool found = false;
    for (const auto & field : message.fields) {
      names += (names.empty() ? "" : ", ") + std::string(field.name);
      if (field.name == name) {
        found = true;
        offset_ = field.offset;
        count_ = field.count;
        datatype_ = Datatype(field.datatype);
      }
    }
    require(
      found, "the message lacks the field " + name + "; it has " +
      (names.empty() ? std::string("no fields") : names));
    require(
      std::find(allowed.begin(), allowed.end(), datatype_) != allowed.end(),
      "field " + name + " has the datatype " + std::to_string(int(datatype_)) +
      ", which is not expected");
    require(
      is_vector ? count_ >= 1 : count_ == 1,
      "field " + name + " has the count " + std::to_string(count_));
    const std::uint64_t width = datatype_ == Datatype::int8 ? 1 : 4;
    require(
      offset_ + width * count_ <= message.point_step,
      "field " + name + " ends behind the " + std::to_string(message.point_step) +
      " bytes of a point");
    const std::uint64_t needed = std::uint64_t(message.width) * message.point_step;
    require(
      message.height == 1, "the message must have height 1, it has " +
      std::to_string(message.height));
    require(
      message.data.size() >= needed, "the message is cut short: it needs " +
      std::to_string(needed) + " bytes and has " + std::to_string(message.data.size()));
  }

  std::size_t count() const {return count_;}
  Datatype datatype() const {return datatype_;}

  template<class T>
  T get(std::size_t point, std::size_t element = 0) const
  {
    const auto begin = message_.data.data() + point * message_.point_step + offset_;
    return number_at<T>(begin + element * sizeof(T), swapped_);
  }

private:
  const PointCloud2 & message_;
  bool swapped_;
  std::uint64_t offset_ = 0;
  std::size_t count_ = 0;
  Datatype datatype_ = Datatype::float32;
};

template<class PointCloud2>
bool has_field(const PointCloud2 & message, const std::string & name)
{
  return std::any_of(
    message.fields.begin(), message.fields.end(),
    [&name](const auto & field) {return field.name == name;});
}

/// Return whether a PointCloud has a channel.
template<class PointCloud>
bool has_channel(const PointCloud & message, const std::string & name)
{
  return std::any_of(
    message.channels.begin(), message.channels.end(),
    [&name](const auto & channel) {return channel.name == name;});
}

/// Return the values of a channel of a PointCloud.
template<class PointCloud>
const auto & channel(const PointCloud & message, const std::string & name)
{
  std::string names;
  for (const auto & each : message.channels) {
    if (each.name == name) {
      require(
        each.values.size() == message.points.size(), "the channel " + name + " has " +
        std::to_string(each.values.size()) + " values for " +
        std::to_string(message.points.size()) + " points");
      return each.values;
    }
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  }
  throw std::invalid_argument(
    "the message lacks the channel " + name + "; it has " + (names.empty() ? "none" : names));
}

}  // namespace detail

/// Return a float32 field of all points of a PointCloud2, for instance an optional one.
template<class PointCloud2>
std::vector<float> read_field(const PointCloud2 & message, const std::string & name)
{
  const detail::Column<PointCloud2> column(message, name, {Datatype::float32});
  std::vector<float> values(message.width);
  for (std::size_t i = 0; i < values.size(); ++i) {values[i] = column.template get<float>(i);}
  return values;
}

/// Return the features of a message of the topic `features`, of float32 or int8 descriptors.
template<class PointCloud2>
Features read_features(const PointCloud2 & message)
{
  using Column = detail::Column<PointCloud2>;
  const Column u(message, "u", {Datatype::float32}), v(message, "v", {Datatype::float32});
  const Column score(message, "score", {Datatype::float32});
  const Column descriptor(message, "descriptor", {Datatype::float32, Datatype::int8}, true);
  Features features;
  features.descriptor_size = descriptor.count();
  features.keypoints.reserve(message.width);
  features.descriptors.reserve(message.width * descriptor.count());
  for (std::size_t i = 0; i < message.width; ++i) {
    features.keypoints.push_back(
      {u.template get<float>(i), v.template get<float>(i), score.template get<float>(i)});
    double squares = 0;
    for (std::size_t k = 0; k < descriptor.count(); ++k) {
      const bool is_float = descriptor.datatype() == Datatype::float32;
      const float value = is_float ? descriptor.template get<float>(i, k) :
        float(descriptor.template get<std::int8_t>(i, k));
      squares += double(value) * value;
      features.descriptors.push_back(value);
    }
    if (descriptor.datatype() == Datatype::int8 && squares > 0) {
      const auto end = features.descriptors.end();
      const float length = float(std::sqrt(squares));
      std::for_each(
        end - descriptor.count(), end, [length](float & value) {value /= length;});
    }
  }
  const bool placed = detail::has_field(message, "x") && detail::has_field(message, "y") &&
    detail::has_field(message, "z");
  if (placed) {
    const auto x = read_field(message, "x"), y = read_field(message, "y");
    const auto z = read_field(message, "z");
    for (std::size_t i = 0; i < x.size(); ++i) {features.positions.push_back({x[i], y[i], z[i]});}
  }
  if (detail::has_field(message, "depth_sigma")) {
    features.depth_sigmas = read_field(message, "depth_sigma");
  }
  if (detail::has_field(message, "variance_u")) {
    const auto uu = read_field(message, "variance_u"), uv = read_field(message, "covariance_uv");
    const auto vv = read_field(message, "variance_v");
    for (std::size_t i = 0; i < uu.size(); ++i) {
      features.covariances.push_back({uu[i], uv[i], vv[i]});
    }
  }
  return features;
}

/// Return the tracks of a message of the topic `tracks`, of either layout, in its order.
/// Throws if an id is not a number below 2^31.
template<class PointCloud>
std::vector<Track> read_tracks(const PointCloud & message)
{
  const auto & ids = detail::channel(message, "id");
  const auto & u = detail::channel(message, "u");
  const auto & v = detail::channel(message, "v");
  const auto & velocity_x = detail::channel(message, "velocity_x");
  const auto & velocity_y = detail::channel(message, "velocity_y");
  const float unknown = std::numeric_limits<float>::quiet_NaN();
  std::vector<Track> tracks;
  tracks.reserve(message.points.size());
  for (std::size_t i = 0; i < message.points.size(); ++i) {
    const auto & point = message.points[i];
    detail::require(
      std::abs(ids[i]) < 2147483648.0f, "the channel id has the value " + std::to_string(ids[i]));
    tracks.push_back(
      {std::int32_t(ids[i]), u[i], v[i], point.x, point.y, velocity_x[i], velocity_y[i], unknown,
        unknown, {unknown, unknown, unknown}});
  }
  if (detail::has_channel(message, "depth")) {
    const auto & depths = detail::channel(message, "depth");
    const auto & sigmas = detail::channel(message, "depth_sigma");
    for (std::size_t i = 0; i < tracks.size(); ++i) {
      tracks[i].depth = depths[i];
      tracks[i].depth_sigma = sigmas[i];
    }
  }
  if (detail::has_channel(message, "variance_u")) {
    const auto & uu = detail::channel(message, "variance_u");
    const auto & uv = detail::channel(message, "covariance_uv");
    const auto & vv = detail::channel(message, "variance_v");
    for (std::size_t i = 0; i < tracks.size(); ++i) {
      tracks[i].covariance = {uu[i], uv[i], vv[i]};
    }
  }
  return tracks;
}

/// Return the tracks of a message of the topic `tracks/cloud`, in its order.
template<class PointCloud2>
std::vector<Track> read_track_cloud(const PointCloud2 & message)
{
  const detail::Column<PointCloud2> ids(message, "id", {Datatype::int32});
  const auto u = read_field(message, "u"), v = read_field(message, "v");
  const auto x = read_field(message, "x"), y = read_field(message, "y");
  const auto z = read_field(message, "z");  // the depth in metres if it is known, otherwise 1
  const auto velocity_x = read_field(message, "velocity_x");
  const auto velocity_y = read_field(message, "velocity_y");
  const float unknown = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> sigmas(u.size(), unknown);
  if (detail::has_field(message, "depth_sigma")) {sigmas = read_field(message, "depth_sigma");}
  std::vector<Track> tracks;
  for (std::size_t i = 0; i < u.size(); ++i) {
    const float depth = std::isnan(sigmas[i]) ? unknown : z[i];
    tracks.push_back(
      {ids.template get<std::int32_t>(i), u[i], v[i], x[i] / z[i], y[i] / z[i], velocity_x[i],
        velocity_y[i], depth, sigmas[i], {unknown, unknown, unknown}});
  }
  if (detail::has_field(message, "variance_u")) {
    const auto uu = read_field(message, "variance_u"), uv = read_field(message, "covariance_uv");
    const auto vv = read_field(message, "variance_v");
    for (std::size_t i = 0; i < tracks.size(); ++i) {
      tracks[i].covariance = {uu[i], uv[i], vv[i]};
    }
  }
  return tracks;
}

#if defined(OPENCV_CORE_HPP)

/// Return the keypoints for OpenCV; `size` is the diameter of the neighbourhood in pixels.
inline std::vector<cv::KeyPoint> to_cv_keypoints(const Features & features, float size = 8)
{
  std::vector<cv::KeyPoint> keypoints;
  keypoints.reserve(features.size());
  for (const auto & each : features.keypoints) {
    keypoints.emplace_back(each.u, each.v, size, -1, each.score);
  }
  return keypoints;
}

/// Return a copy of the descriptors, CV_32F (N, D), for cv::NORM_L2.
inline cv::Mat to_cv_descriptors(const Features & features)
{
  cv::Mat matrix(int(features.size()), int(features.descriptor_size), CV_32F);
  std::copy(features.descriptors.begin(), features.descriptors.end(), matrix.begin<float>());
  return matrix;
}

/// Return the positions of tracks in pixels.
inline std::vector<cv::Point2f> to_cv_points(const std::vector<Track> & tracks)
{
  std::vector<cv::Point2f> points;
  points.reserve(tracks.size());
  for (const auto & track : tracks) {points.emplace_back(track.u, track.v);}
  return points;
}

#endif  // OPENCV_CORE_HPP

}  // namespace superpoint_ros

#endif  // SUPERPOINT_ROS__MESSAGES_HPP_
