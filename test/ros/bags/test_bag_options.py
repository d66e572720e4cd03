# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Topics of images are found in a bag, and topics of features are named after them."""

from __future__ import annotations

import pytest

pytest.importorskip('rosbags', reason='needs the library rosbags')

from superpoint_ros.ros.bags.bag_options import BagOptions, choose_topics


def test_features_are_named_after_the_cameras_namespace():
    assert choose_topics(['/camera/image_raw'], []) == {'/camera/image_raw': '/camera/features'}
    assert choose_topics(['/image'], []) == {'/image': '/features'}
    both = ['/a/image', '/a/image/compressed', '/b/image/compressed']
    assert choose_topics(both, []) == {
        '/a/image': '/a/features',
        '/b/image/compressed': '/b/features',
    }
    transports = ['/a/image', '/a/image/compressed', '/a/image/zstd', '/b/image/zstd']
    assert list(choose_topics(transports, [])) == ['/a/image', '/b/image/zstd']
    assert choose_topics(both, ['/a/image:/x']) == {'/a/image': '/x'}
    with pytest.raises(ValueError, match=r'both|two topics would be on /a/features'):
        choose_topics(['/a/left', '/a/right'], [])
    with pytest.raises(ValueError, match='no images on /c'):
        choose_topics(both, ['/c'])
    for name in ('x', '/bad..name', '/has space', '/', '/1', '/a/'):
        with pytest.raises(ValueError, match=f'{name}. cannot be a topic of features'):
            choose_topics(both, [f'/a/image:{name}'])
    with pytest.raises(ValueError, match='no topic of images'):
        choose_topics([], [])


def test_a_batch_has_at_least_one_image():
    with pytest.raises(ValueError, match='batch must be at least 1, got 0'):
        BagOptions(batch=0)
