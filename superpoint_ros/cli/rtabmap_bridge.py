# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

r"""
Join image, depth and features for RTAB-Map: publish them as rtabmap_msgs/RGBDImage.

  superpoint rtabmap-bridge --remap image:=/camera/color/image_raw \
      depth:=/camera/aligned_depth_to_color/image_raw camera_info:=/camera/color/camera_info

Image, registered depth image and features must have equal stamps. The topic rgbd_image is what
rtabmap reads with subscribe_rgbd:=true. It needs the ROS package rtabmap_msgs. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
from contextlib import suppress

from superpoint_ros.cli.rerun import add_topic_options, make_node
from superpoint_ros.common.wording import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_topic_options(parser)


def run(args: argparse.Namespace) -> int:
    """Publish until Ctrl-C, and print the number of messages."""
    from superpoint_ros.ros.testing.subprocesses import ros_session

    try:
        from superpoint_ros.ros.rtabmap_node import RtabmapNode
    except ModuleNotFoundError as error:
        if error.name != 'rtabmap_msgs':
            raise
        raise ValueError(
            'the ROS package rtabmap_msgs is missing: apt install ros-$ROS_DISTRO-rtabmap-msgs'
        ) from error
    node = None
    with suppress(KeyboardInterrupt), ros_session() as executor:  # Ctrl-C is the usual end
        node = make_node(RtabmapNode, args)
        executor.add_node(node)
        executor.spin()
    published = node.published if node else 0
    print(counted(published, 'message'))
    return 0 if published else 1
