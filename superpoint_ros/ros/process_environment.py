# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Defaults of a node's process that environment variables override: DDS profile and heaps.

This module imports next to nothing, like `superpoint_ros.ros.run_node`.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextlib import suppress
import ctypes
from pathlib import Path

DDS_PROFILE = 'fastdds_features.xml'
"""The default profile of Fast DDS, in `config/`; its comment explains it."""

# Fast DDS 3, since Kilted, has renamed the first, and warns about it.
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_DDS_CHOICES = (*_PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')
_DDS_FILES = ('DEFAULT_FASTRTPS_PROFILES.xml', 'DEFAULT_FASTDDS_PROFILES.xml')

_M_ARENA_MAX = -8  # malloc.h
_HEAPS = 2


def choose_dds_profile(environment: MutableMapping[str, str]) -> None:
    """
    Make Fast DDS send large messages at once, unless the user has chosen a profile of any kind.

    It affects what is initialized later. Other RMW implementations ignore it.
    """
    from superpoint_ros.common.file_reading import is_found
    from superpoint_ros.resources import share_directory

    is_chosen = any(name in environment for name in _DDS_CHOICES)
    if is_chosen or any(is_found(Path(name)) for name in _DDS_FILES):
        return
    try:
        profile = share_directory() / 'config' / DDS_PROFILE
    except FileNotFoundError:
        return  # the node reports that when it looks for its weights
    if profile.is_file():
        environment.update(dict.fromkeys(profile_variables(environment), str(profile)))


def profile_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the environment variables that name the profile of the Fast DDS that is installed."""
    return _PROFILE_VARIABLES[_has_fast_dds_3(environment) :]


def limit_heaps(environment: Mapping[str, str]) -> None:
    """
    Make glibc use two heaps for all threads, unless the user has chosen another number.

    By default each thread gets a separate heap, up to eight per core, and memory that is freed in
    one is of no use to the others. With weights set every ten seconds at 200 images per second,
    the detector grew from 627 to 741 MB in 150 s; with two heaps it stays at 562 MB for 420 s.
    """
    if 'MALLOC_ARENA_MAX' in environment or 'GLIBC_TUNABLES' in environment:
        return
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)


def _has_fast_dds_3(environment: Mapping[str, str]) -> bool:
    """Return whether the distribution is Kilted or later; pip's wheels do not set ROS_DISTRO."""
    from importlib.metadata import PackageNotFoundError, version

    distribution = environment.get('ROS_DISTRO')
    if distribution:
        return distribution > 'jazzy'
    with suppress(PackageNotFoundError):
        return int(version('ros-rclpy').partition('.')[0]) > 7  # Jazzy has rclpy 7
    return False
