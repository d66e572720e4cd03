"""Our conversion of images beside that of cv_bridge, where ROS has brought it."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed')

from sensor_msgs.msg import Image

from superpoint_ros.node.image_messages import gray_from_message

CHANNELS = {
    'mono8': 1,
    'rgb8': 3,
    'bgr8': 3,
    'rgba8': 4,
    'bgra8': 4,
    'bayer_rggb8': 1,
    'bayer_bggr8': 1,
    'bayer_gbrg8': 1,
    'bayer_grbg8': 1,
    'yuv422': 2,
    'yuv422_yuy2': 2,
}


@pytest.fixture(scope='module')
def bridge():
    reason = 'cv_bridge is not installed'
    return pytest.importorskip('cv_bridge', reason=reason, exc_type=ImportError).CvBridge()


@pytest.mark.parametrize('encoding', CHANNELS)
def test_cv_bridge_says_the_same(bridge, encoding):
    width, height = 64, 48
    step = width * CHANNELS[encoding]
    noise = np.random.default_rng(0).integers(0, 256, step * height, dtype=np.uint8)
    message = Image(
        encoding=encoding, width=width, height=height, step=step, data=array('B', noise.tobytes())
    )
    expected = bridge.imgmsg_to_cv2(message, 'mono8')
    difference = np.abs(gray_from_message(message).astype(int) - expected)
    assert difference.max() <= 1
