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
