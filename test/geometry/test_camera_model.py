# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Undistorted coordinates of camera models, compared with known directions."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from sensor_msgs.msg import CameraInfo

from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError

K = [400.0, 0.0, 320.5, 0.0, 410.0, 238.0, 0.0, 0.0, 1.0]
DISTORTIONS = {
    'plumb_bob': [-0.28, 0.09, 0.0007, -0.0004, -0.01],
    'rational_polynomial': [0.4, 0.1, 0.0005, -0.0003, 0.01, 0.7, 0.2, 0.02],
    'equidistant': [-0.02, 0.01, -0.008, 0.002],
}


def make_info(model='plumb_bob', d=None, k=K, **fields):
    d = DISTORTIONS[model] if d is None else d
    return CameraInfo(width=640, height=480, distortion_model=model, k=k, d=d, **fields)


def seen_at(points, model, d):
    """Return the pixels (N, 2) at which points (N, 2) at distance 1 are seen, by the formulas."""
    x, y = points.T
    if model == 'equidistant':
        r = np.hypot(x, y)
        theta = np.arctan(r)
        t2 = theta**2
        angle = theta * (1 + d[0] * t2 + d[1] * t2**2 + d[2] * t2**3 + d[3] * t2**4)
        scale = np.divide(angle, r, out=np.ones_like(r), where=r > 0)
        u, v = x * scale, y * scale
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = [*d, 0, 0, 0][:8]
        r2 = x**2 + y**2
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        radial /= 1 + k4 * r2 + k5 * r2**2 + k6 * r2**3
        u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
        v = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return np.stack([K[0] * u + K[2], K[4] * v + K[5]], axis=1)


@pytest.mark.parametrize('model', DISTORTIONS)
def test_normalized_coordinates_are_those_of_the_point_seen_at_the_pixel(model):
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, 15), np.linspace(-0.5, 0.5, 11))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    pixels = seen_at(points, model, DISTORTIONS[model])
    found = CameraModel.from_message(make_info(model)).normalize(pixels.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, points, atol=2e-5)


@pytest.mark.parametrize(('model', 'd'), [('plumb_bob', []), ('', []), ('equidistant', [])])
def test_a_camera_model_without_distortion_uses_the_matrix_only(model, d):
    found = CameraModel.from_message(make_info(model, d)).normalize(
        np.array([[320.5, 238.0], [720.5, 238.0]])
    )
    right = np.tan(1.0) if model == 'equidistant' else 1.0
    np.testing.assert_allclose(found, [[0, 0], [right, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ('model', 'd', 'used'),
    [
        ('equidistant', [0.01, 0, 0, 0, 0], 4),
        ('plumb_bob', [-0.2, 0.1, 0, 0, 0, 0, 0, 0], 4),
        ('plumb_bob', [-0.2, 0.1, 0, 0, 0.3, 0, 0, 0], 5),
        ('plumb_bob', [0] * 14, 0),
    ],
)
def test_extra_distortion_coefficients_that_are_0_are_ignored(model, d, used):
    pixels = np.array([[100.0, 50.0], [600.0, 400.0]])
    found = CameraModel.from_message(make_info(model, d))
    assert found.distortion.tolist() == d[:used]
    expected = CameraModel.from_message(make_info(model, d[: 4 if used < 5 else 5]))
    np.testing.assert_array_equal(found.normalize(pixels), expected.normalize(pixels))


def test_extra_distortion_coefficients_that_are_not_0_are_refused():
    for d in ([0.01, 0, 0, 0, 0.1], [0.01, 0.02, 0.03]):
        with pytest.raises(CameraModelError, match=f'has 0, 4 numbers in d; here are {len(d)}'):
            CameraModel.from_message(make_info('equidistant', d))


@pytest.mark.parametrize(
    ('name', 'd', 'model'),
    [
        ('', [0.0] * 5, 'plumb_bob'),
        ('none', [], 'plumb_bob'),
        ('Brown-Conrady', [0.1, 0, 0, 0, 0], 'plumb_bob'),
        ('radial-tangential', [0.1, 0, 0, 0], 'plumb_bob'),
        ('PLUMB_BOB', [0.1, 0, 0, 0, 0], 'plumb_bob'),
        ('fisheye', [0.1, 0, 0, 0], 'equidistant'),
        ('Kannala Brandt4', [0.1, 0, 0, 0, 0], 'equidistant'),
    ],
)
def test_usual_names_of_a_distortion_model_are_accepted(name, d, model):
    assert CameraModel.from_message(make_info(name, d)).model == model


@pytest.mark.parametrize('name', ['', 'none', 'Inverse Brown Conrady', 'Modified Brown-Conrady'])
def test_coefficients_of_an_unknown_model_are_refused(name):
    with pytest.raises(CameraModelError, match=f"the distortion model '{name}' is unknown"):
        CameraModel.from_message(make_info(name, [0.1, 0, 0, 0, 0]))


def test_a_region_of_interest_and_binning_are_taken_into_account():
    info = make_info('plumb_bob', binning_x=2, binning_y=2)
    info.roi.x_offset, info.roi.y_offset = 100, 60
    info.roi.width, info.roi.height = 400, 300
    model = CameraModel.from_message(info)
    assert model.image_size == (200, 150)
    whole = CameraModel.from_message(make_info('plumb_bob'))
    # Pixel 10 is made of the pixels 20 and 21 of the part, which begins at 100.
    expected = whole.normalize(np.array([[120.5, 100.5]]))
    for each in (model, model.published()):
        found = each.normalize(np.array([[10.0, 20.0]]))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert model.published().size == (200, 150)


def test_pixels_beyond_the_range_of_the_polynomial_have_no_coordinates():
    model = CameraModel.from_message(make_info('plumb_bob', [-0.5, 0.0, 0.0, 0.0, 0.0]))
    # r (1 - r^2 / 2) is never more than 0.544, which is 218 pixels from the centre.
    found = model.normalize(np.array([[320.5 + 150, 238.0], [320.5 + 260, 238.0]]))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_a_fisheye_lens_sees_up_to_90_degrees():
    stereographic = [1 / 12, 1 / 120, 17 / 20160, 31 / 362880]
    model = CameraModel.from_message(make_info('equidistant', stereographic))
    angles = np.radians([0, 30, 60, 75, 80, 85, 89])
    points = np.tan(angles)[:, None] * [0.6, -0.8]
    found = model.normalize(seen_at(points, 'equidistant', stereographic))
    np.testing.assert_allclose(found, points, rtol=1e-6, atol=1e-9)
    beyond = seen_at(1e6 * points[-1:], 'equidistant', stereographic) * 1.01
    assert np.isnan(model.normalize(beyond)).all()


def test_the_angle_of_a_fisheye_lens_ends_where_its_polynomial_falls():
    # An angle of 60 degrees is at the maximum, 40 degrees.
    model = CameraModel.from_message(make_info('equidistant', [-1 / np.pi**2 * 3, 0, 0, 0]))
    largest = np.radians(40) * K[0]
    pixels = np.array([[K[2] + largest - 0.01, K[5]], [K[2] + largest + 0.5, K[5]]])
    found = model.normalize(pixels)
    assert found[0, 0] == pytest.approx(np.tan(np.radians(60)), rel=0.03)
    assert np.isnan(found[1]).all()


def test_no_keypoints_have_no_coordinates():
    found = CameraModel.from_message(make_info()).normalize(np.zeros((0, 2)))
    assert found.shape == (0, 2)


@pytest.mark.parametrize(
    ('info', 'said'),
    [
        (CameraInfo(), 'not calibrated'),
        (make_info('fisheye62', [0.1]), "the distortion model 'fisheye62' is unknown; known are"),
        (
            make_info('plumb_bob', [0.1, 0.2, 0.3]),
            'plumb_bob has 0, 4, 5 numbers in d; here are 3',
        ),
        (make_info('plumb_bob', [float('nan')] * 5), 'not finite'),
        (make_info(k=[*K[:2], float('inf'), *K[3:]]), 'not finite'),
        (make_info(k=[*K[:4], 0.0, *K[5:]]), 'not calibrated'),
    ],
)
def test_a_calibration_that_cannot_be_used_is_named(info, said):
    with pytest.raises(CameraModelError, match=said):
        CameraModel.from_message(info)


def test_images_of_another_size_than_the_calibration_are_refused():
    with pytest.raises(CameraModelError, match='for images of 640x480, not 320x240'):
        CameraModel.from_message(make_info()).check_size((320, 240))
