# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

# find_package(superpoint_ros) defines the target superpoint_ros::messages: the header-only reader
# of features and tracks. This file is in share/superpoint_ros/cmake of the prefix.
get_filename_component(_superpoint_ros_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET superpoint_ros::messages)
  add_library(superpoint_ros::messages INTERFACE IMPORTED)
  set_target_properties(superpoint_ros::messages PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${_superpoint_ros_prefix}/include")
endif()
# For ament_target_dependencies and ament_auto_find_build_dependencies.
set(superpoint_ros_TARGETS superpoint_ros::messages)
unset(_superpoint_ros_prefix)
