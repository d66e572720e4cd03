# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

# find_package(superpoint_ros VERSION) accepts VERSION and later ones, as in packages of ament. The
# version is that of package.xml in share/superpoint_ros.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../package.xml" PACKAGE_VERSION REGEX "<version>")
string(REGEX REPLACE ".*<version>(.*)</version>.*" "\\1" PACKAGE_VERSION "${PACKAGE_VERSION}")
if(NOT PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
