// Copyright 2026 The superpoint_ros developers
// SPDX-License-Identifier: Apache-2.0

/**
 * The messages as plain structs, and a reader of their serialised form (CDR): what a bag contains
 * and what a program without ROS receives.
 */

#ifndef PLAIN_MESSAGES_HPP_
#define PLAIN_MESSAGES_HPP_

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace plain
{

struct PointField
{
  std::string name;
  std::uint32_t offset = 0;
  std::uint8_t datatype = 0;
  std::uint32_t count = 0;
};

/// std_msgs/Header.
struct Header
{
  std::int32_t sec = 0;
  std::uint32_t nanosec = 0;
  std::string frame_id;
};

/// sensor_msgs/PointCloud2.
struct PointCloud2
{
  Header header;
  std::uint32_t height = 0, width = 0;
  std::vector<PointField> fields;
  bool is_bigendian = false;
  std::uint32_t point_step = 0, row_step = 0;
  std::vector<std::uint8_t> data;
  bool is_dense = false;
};

struct Point32
{
  float x = 0, y = 0, z = 0;
};

struct Channel
{
  std::string name;
  std::vector<float> values;
};

/// sensor_msgs/PointCloud.
struct PointCloud
{
  Header header;
  std::vector<Point32> points;
  std::vector<Channel> channels;
};

/// Reader of little-endian CDR (XCDR1), as ROS 2 writes it on x86 and ARM.
class CdrReader
{
public:
  explicit CdrReader(std::vector<std::uint8_t> bytes)
  : bytes_(std::move(bytes))
  {
    if (bytes_.size() < 4 || bytes_[1] != 1) {
      throw std::invalid_argument("this is not a message in little-endian CDR");
    }
  }

  template<class T>
  T number()
  {
    // Numbers are aligned to their size, counted from the end of the 4 bytes of encapsulation.
    position_ += (sizeof(T) - (position_ - 4) % sizeof(T)) % sizeof(T);
    T value;
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
    return value;
  }

  std::string text()
  {
    const auto length = number<std::uint32_t>();  // with the 0 at the end
    const auto begin = reinterpret_cast<const char *>(take(length));
    return std::string(begin, length ? length - 1 : 0);
  }

  template<class T>
  std::vector<T> numbers()
  {
    const auto count = number<std::uint32_t>();
    std::vector<T> values;
    for (std::uint32_t i = 0; i < count; ++i) {values.push_back(number<T>());}
    return values;
  }

  Header header()
  {
    Header header;
    header.sec = number<std::int32_t>();
    header.nanosec = number<std::uint32_t>();
    header.frame_id = text();
    return header;
  }

private:
  const std::uint8_t * take(std::size_t count)
  {
    if (position_ + count > bytes_.size()) {
      throw std::invalid_argument("the serialised message is cut short");
    }
    const auto begin = bytes_.data() + position_;
    position_ += count;
    return begin;
  }

  std::vector<std::uint8_t> bytes_;
  std::size_t position_ = 4;
};

inline PointCloud2 read_point_cloud2(std::vector<std::uint8_t> bytes)
{
  CdrReader cdr(std::move(bytes));
  PointCloud2 message;
  message.header = cdr.header();
  message.height = cdr.number<std::uint32_t>();
  message.width = cdr.number<std::uint32_t>();
  const auto count = cdr.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    PointField field;
    field.name = cdr.text();
    field.offset = cdr.number<std::uint32_t>();
    field.datatype = cdr.number<std::uint8_t>();
    field.count = cdr.number<std::uint32_t>();
    message.fields.push_back(field);
  }
  message.is_bigendian = cdr.number<std::uint8_t>() != 0;
  message.point_step = cdr.number<std::uint32_t>();
  message.row_step = cdr.number<std::uint32_t>();
  message.data = cdr.numbers<std::uint8_t>();
  message.is_dense = cdr.number<std::uint8_t>() != 0;
  return message;
}

inline PointCloud read_point_cloud(std::vector<std::uint8_t> bytes)
{
  CdrReader cdr(std::move(bytes));
  PointCloud message;
  message.header = cdr.header();
  const auto points = cdr.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < points; ++i) {
    Point32 point;
    point.x = cdr.number<float>();
    point.y = cdr.number<float>();
    point.z = cdr.number<float>();
    message.points.push_back(point);
  }
  const auto channels = cdr.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < channels; ++i) {
    Channel channel;
    channel.name = cdr.text();
    channel.values = cdr.numbers<float>();
    message.channels.push_back(channel);
  }
  return message;
}

}  // namespace plain

#endif  // PLAIN_MESSAGES_HPP_
