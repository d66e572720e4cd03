# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Detection settings that are not allowed are named."""

import pytest

from superpoint_ros.detection.settings import DetectionSettings


@pytest.mark.parametrize(
    ('values', 'error', 'message'),
    [
        ({'threshold': 1.5}, ValueError, 'threshold must lie between 0.0 and 1.0, got 1.5'),
        ({'threshold': float('nan')}, ValueError, 'threshold must lie between'),
        ({'threshold': '0.1'}, TypeError, "threshold must be a number .* got '0.1'"),
        ({'nms_radius': -1}, ValueError, 'nms_radius must lie between 0 and 64, got -1'),
        ({'nms_radius': 4.0}, TypeError, 'nms_radius must be a whole number'),
        ({'max_keypoints': 0}, ValueError, 'max_keypoints must lie between 1'),
        ({'border_margin': True}, TypeError, 'border_margin must be a whole number'),
        ({'subpixel': 1}, TypeError, 'subpixel must be true or false'),
        ({'grid_cells': 257}, ValueError, 'grid_cells must lie between 0 and 256, got 257'),
        (
            {'upscale_factor': 0.5},
            ValueError,
            'upscale_factor must lie between 1.0 and 4.0, got 0.5',
        ),
        (
            {'upscale_factor': '2'},
            TypeError,
            "upscale_factor must be a number from 1.0 to 4.0, got '2'",
        ),
        (
            {'descriptor_scales': 0},
            ValueError,
            'must lie between 1 and 4, got 0',
        ),
        ({'max_image_size': 63}, ValueError, r'must be 0 \(off\) or at least 64, got 63'),
    ],
)
def test_invalid_detection_settings_are_named_in_the_error(values, error, message):
    with pytest.raises(error, match=message):
        DetectionSettings(**values)
