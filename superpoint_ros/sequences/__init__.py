# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
Images one after another: from pictures, folders, videos, cameras, recordings, a virtual camera.

Every sequence is iterable and gives frames. Iterating anew starts from the beginning.
"""

from superpoint_ros.sequences.frames import DEFAULT_RATE, Frame, FrameSequence, Intrinsics
from superpoint_ros.sequences.images import (
    IMAGE_SUFFIXES,
    ImageSequence,
    list_images,
    read_image,
)
from superpoint_ros.sequences.opening import open_sequence
from superpoint_ros.sequences.video import Video
from superpoint_ros.sequences.virtual_camera import VirtualCamera

__all__ = [
    'DEFAULT_RATE',
    'IMAGE_SUFFIXES',
    'Frame',
    'FrameSequence',
    'ImageSequence',
    'Intrinsics',
    'Video',
    'VirtualCamera',
    'list_images',
    'open_sequence',
    'read_image',
]
