"""
The player: publishes images of a folder, a video or a camera, as a camera's driver would.

Without a source it is a virtual camera that pans, turns and zooms over the photographs that come
with the package: a camera topic on any machine.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import cv2
import numpy as np
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from superpoint_ros.resources import demo_photographs
from superpoint_ros.sequences import Frame, open_sequence, VirtualCamera

_LAST_WORDS = Duration(seconds=1)


class PlayerNode(Node):
    """
    Publish the frames of a source on `image`, stamped with the time at which they were read.

    After the last frame, where the source has one and is not repeated, the node's context is shut
    down, which ends its program. Raises ValueError or FileNotFoundError for a source that cannot
    be played.
    """

    def __init__(self, **options):
        super().__init__('player', **options)
        self._read_parameters()
        self._sequence = self._open()
        self._frames: Iterator[Frame] = iter(self._sequence)
        self._message = Image()
        self._message.header.frame_id = self._frame_id
        self.published = 0
        # Reliable: it suits subscribers of both kinds, and large images get lost otherwise.
        self._publisher = self.create_publisher(Image, 'image', QoSProfile(depth=5))
        rate = self._rate or self._sequence.rate
        self._timer = self.create_timer(1 / rate, self._publish_next)
        what = self._source or 'the photographs of the package'
        self.get_logger().info(f'publishing {what} at {rate:g} Hz')

    def _read_parameters(self) -> None:
        """Declare the parameters, which cannot be changed later, and keep their values."""

        def value(name, default, description, ranges=(), **more):
            descriptor = ParameterDescriptor(
                name=name, description=description, read_only=True, **more
            )
            if ranges and isinstance(default, float):
                limits = FloatingPointRange(from_value=ranges[0], to_value=ranges[1])
                descriptor.floating_point_range = [limits]
            elif ranges:
                descriptor.integer_range = [IntegerRange(from_value=ranges[0], to_value=ranges[1])]
            return self.declare_parameter(name, default, descriptor).value

        source = value(
            'source',
            '',
            'An image, a folder of images, a video file, or a camera (/dev/video0 or 0); empty: '
            'a virtual camera over the photographs that come with the package.',
            dynamic_typing=True,  # a camera's number is not a string
        )
        self._source = str(source)
        self._rate = value(
            'rate',
            0.0,
            "Images per second; 0: the source's own rate, 30 for images.",
            (0.0, 1000.0),
        )
        self._loop = value('loop', True, 'Begin again after the last frame.')
        self._color = value('color', False, 'Publish bgr8 instead of mono8.')
        self._frame_id = value('frame_id', 'camera', "The header's frame_id.")
        self._max_side = value(
            'max_side',
            0,
            'Larger images are reduced until neither side is longer, in pixels; 0: as they are.',
            (0, 65535),
        )
        size = [
            value(name, default, f"The virtual camera's {name} in pixels.", (16, 8192))
            for name, default in (('width', 640), ('height', 480))
        ]
        self._size = tuple(size)
        self._seconds_each = value(
            'seconds_each',
            10.0,
            'How long the virtual camera stays on a photograph, in seconds.',
            (0.1, 3600.0),
        )

    def _open(self):
        """Return the sequence of frames that the parameters ask for."""
        if self._source:
            return open_sequence(self._source, color=self._color)
        return VirtualCamera(
            demo_photographs(),
            self._size,
            color=self._color,
            rate=self._rate or 30.0,
            seconds_each=self._seconds_each,
        )

    def stop(self) -> bool:
        """Return True: between two frames there is no work to end."""
        return True

    def _next_frame(self) -> Frame | None:
        """Return the next frame, at the end the first again, or None."""
        frame = next(self._frames, None)
        if frame is None and self._loop:
            self._frames = iter(self._sequence)
            frame = next(self._frames, None)
        return frame

    def _publish_next(self) -> None:
        """Publish one frame."""
        frame = self._next_frame()
        if frame is None:
            self._timer.cancel()
            self.get_logger().info(f'{self.published} frames were published, there are no more')
            self._publisher.wait_for_all_acked(_LAST_WORDS)
            self.context.try_shutdown()
            return
        self._fill(self._reduced(frame.image))
        self._message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(self._message)
        self.published += 1

    def _reduced(self, image: np.ndarray) -> np.ndarray:
        """Return the image with no side longer than `max_side`."""
        longest = max(image.shape[:2])
        if not self._max_side or longest <= self._max_side:
            return image
        scale = self._max_side / longest
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

    def _fill(self, image: np.ndarray) -> None:
        """Put the image's pixels into the message, whose memory is kept from frame to frame."""
        message = self._message
        height, width = image.shape[:2]
        step = image.size // height
        if (message.height, message.width, message.step) != (height, width, step):
            message.height, message.width, message.step = height, width, step
            message.encoding = 'mono8' if image.ndim == 2 else 'bgr8'
            # Any other type than array('B') is checked byte by byte: a thousand times slower.
            message.data = array('B', bytes(image.size))
        np.frombuffer(message.data, np.uint8)[:] = image.reshape(-1)
