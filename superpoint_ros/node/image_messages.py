"""Images as messages, for the node: all of it is in `superpoint_ros.image_messages`."""

from superpoint_ros.image_messages import (
    CONVERTED,
    Converter,
    ENCODINGS,
    gray_from_compressed,
    gray_from_message,
    ImageMessageError,
    pixel_bytes,
)

__all__ = [
    'CONVERTED',
    'ENCODINGS',
    'Converter',
    'ImageMessageError',
    'gray_from_compressed',
    'gray_from_message',
    'pixel_bytes',
]
