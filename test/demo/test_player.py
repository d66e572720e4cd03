"""The player: what it publishes, what it refuses, how it ends."""

from __future__ import annotations

import signal

import cv2
import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path):
    """A folder of three images of 64x48 pixels: all 10, all 20, all 30."""
    folder = tmp_path / 'frames: 3'  # a name that YAML would take for something else
    folder.mkdir()
    for index, value in enumerate((10, 20, 30)):
        cv2.imwrite(str(folder / f'{index}.png'), np.full((48, 64), value, np.uint8))
    return folder


def pixels(message, channels=1):
    shape = (message.height, message.width, channels)
    return np.frombuffer(message.data, np.uint8).reshape(shape)


def test_a_folder_is_published_in_order_again_and_again(start_player, receive_images, folder):
    start_player(source=str(folder), rate=40.0, frame_id='left')
    received = receive_images(7)
    values = [int(pixels(message)[0, 0, 0]) for _, message in received]
    first = values[0]
    order = {10: 20, 20: 30, 30: 10}
    expected = [first]
    for _ in range(6):
        expected.append(order[expected[-1]])
    assert values == expected
    for arrival, message in received:
        assert (message.width, message.height, message.step) == (64, 48, 64)
        assert (message.encoding, message.header.frame_id) == ('mono8', 'left')
        assert np.ptp(pixels(message)) == 0
        stamp = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        assert 0 <= arrival - stamp < 2


def test_the_virtual_camera_needs_no_source(start_player, receive_images):
    start_player(rate=20.0, width=160, height=120, color=True)
    messages = [message for _, message in receive_images(21)]
    for message in messages:
        assert (message.width, message.height, message.encoding) == (160, 120, 'bgr8')
    # A photograph, in colour, that moves.
    first, last = pixels(messages[0], 3), pixels(messages[-1], 3)
    assert first.std() > 10
    assert np.ptp(first.astype(int), axis=2).max() > 10
    assert not np.array_equal(first, last)
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec / 1e9 for m in messages]
    assert 20 / (stamps[-1] - stamps[0]) == pytest.approx(20, rel=0.25)


def test_large_images_are_reduced_where_asked(start_player, receive_images, tmp_path):
    cv2.imwrite(str(tmp_path / 'large.png'), np.full((300, 400), 77, np.uint8))
    start_player(source=str(tmp_path / 'large.png'), rate=20.0, max_side=200)
    (_, message), *_ = receive_images(1)
    assert (message.width, message.height) == (200, 150)
    assert np.all(pixels(message) == 77)


def test_it_ends_after_the_last_frame_where_it_may_not_loop(start_player, folder):
    player = start_player(source=str(folder), rate=50.0, loop=False)
    output, _ = player.communicate(timeout=30)
    assert player.returncode == 0
    assert '3 frames were published' in output


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(start_player, receive_images, folder, sent):
    player = start_player(source=str(folder), rate=50.0)
    receive_images(1)
    player.send_signal(sent)
    output, _ = player.communicate(timeout=10)
    assert player.returncode == 0
    assert 'Traceback' not in output


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'source': 'no/such/place'}, 'there is no no/such/place'),
        ({'source': 0.5}, 'there is no 0.5'),
        ({'rate': -1.0}, 'rate out of range'),
        ({'rate': 'fast'}, "'rate'"),
        ({'width': 3}, 'width out of range'),
    ],
)
def test_bad_input_is_named_and_ends_it(start_player, parameters, words):
    player = start_player(**parameters)
    output, _ = player.communicate(timeout=30)
    assert player.returncode == 1
    assert words in output
    assert 'Traceback' not in output


def test_a_folder_without_images_is_named(start_player, tmp_path):
    player = start_player(source=str(tmp_path))
    output, _ = player.communicate(timeout=30)
    assert player.returncode == 1
    assert f'{tmp_path} holds no images' in output
