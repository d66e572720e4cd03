# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A bag of two cameras, and the messages of a bag."""

from __future__ import annotations

from support.noise_pictures import noise_picture

START = 1_700_000_000_000_000_000


def picture(seed):
    return noise_picture(seed, (64, 48), sigmas=(1.5,))


def recording(count=5):
    """Return the messages of two cameras, a calibration for each, and poses."""
    result = []
    for index in range(count):
        when = START + 100_000_000 * index
        for side in ('left', 'right'):
            result.append((f'/{side}/camera_info', 'info', None, when))
            result.append((f'/{side}/image_raw', 'image', picture(index), when + 1))
        result.append(('/pose', 'pose', float(index), when + 50_000_000))
    return result


def read(path, topic=None):
    """Return (topic, time of recording, bytes) of a bag's messages."""
    from rosbags.highlevel import AnyReader

    with AnyReader([path]) as reader:
        return [
            (connection.topic, timestamp, bytes(data))
            for connection, timestamp, data in reader.messages()
            if topic in (None, connection.topic)
        ]
