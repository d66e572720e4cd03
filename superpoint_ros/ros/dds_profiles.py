# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a node asks of the middleware before ROS begins."""

from __future__ import annotations

from collections.abc import MutableMapping
import os
from pathlib import Path

from superpoint_ros.files import share_directory

PROFILE = 'fastdds_features.xml'
"""The profile in `config/`; its comment says what it is good for."""

# Fast DDS 3 has renamed the first two; the last is another way to choose transports.
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_CHOICES = (*_PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')
_FILES = ('DEFAULT_FASTRTPS_PROFILES.xml', 'DEFAULT_FASTDDS_PROFILES.xml')


def make_room_for_features(environment: MutableMapping[str, str] = os.environ) -> None:
    """
    Have Fast DDS send large messages at once, unless the user has chosen a profile of any kind.

    It takes effect on what is initialised later. Other middlewares take no notice.
    """
    chosen = any(name in environment for name in _CHOICES)
    if chosen or any(Path(name).is_file() for name in _FILES):
        return
    try:
        profile = share_directory() / 'config' / PROFILE
    except FileNotFoundError:
        return  # the node will say so when it looks for its weights
    if profile.is_file():
        for name in _PROFILE_VARIABLES:
            environment[name] = str(profile)
