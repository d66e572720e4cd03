# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The player: what it publishes, what it refuses, how it ends."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rosgraph_msgs.msg import Clock

from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.poses import pose_matrix
from superpoint_ros.resources import demo_photographs
from superpoint_ros.ros.player_parameters import open_source, PlayerSettings
from superpoint_ros.simulation.room import SimulatedRoom
from support.ros import PATIENCE


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
    # A subscriber on a busy machine must not lose images, of which the publisher keeps five.
    start_player(source=str(folder), rate=5.0, frame_id='left')
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
        assert 0 <= arrival - stamp < PATIENCE


def test_the_virtual_camera_needs_no_source(start_player, receive_images):
    start_player(rate=5.0, width=160, height=120, color=True)
    messages = [message for _, message in receive_images(7)]
    for message in messages:
        assert (message.width, message.height, message.encoding) == (160, 120, 'bgr8')
    # A photograph, in colour, that moves.
    first, last = pixels(messages[0], 3), pixels(messages[-1], 3)
    assert first.std() > 10
    assert np.ptp(first.astype(int), axis=2).max() > 10
    assert not np.array_equal(first, last)
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec / 1e9 for m in messages]
    assert 6 / (stamps[-1] - stamps[0]) == pytest.approx(5, rel=0.25)


def stamp(message):
    return message.header.stamp.sec, message.header.stamp.nanosec


def test_stamps_of_a_bag_are_published_to_the_nanosecond(start_player, listener, write_bag):
    times = [1_700_000_000_123_456_789 + 100_000_001 * index for index in range(3)]
    image = np.zeros((48, 64), np.uint8)
    path = write_bag([('/front/image', 'image', image, time) for time in times])
    start_player(source=str(path), rate=20.0, recorded_stamps=True, loop=True)
    expected = {divmod(time, 1_000_000_000) for time in times}
    listener.wait_until(lambda: {stamp(image) for _, image in listener.images} >= expected)
    assert {stamp(image) for _, image in listener.images} == expected


def test_the_room_is_published_with_calibration_and_true_poses(start_player, listener):
    lens = [-0.2, 0.05, 0.001, -0.001, 0.0]
    start_player(
        source='room',
        rate=10.0,
        width=160,
        height=120,
        seed=4,
        distortion=lens,
        recorded_stamps=True,
        frame_id='front',
        world_frame_id='hall',
        field_of_view=80.0,
    )

    def received():
        lists = (listener.images, listener.poses, listener.infos)
        return [{stamp(message): message for _, message in each} for each in lists]

    listener.wait_until(lambda: len(set.intersection(*map(set, received()))) >= 4)
    images, poses, infos = received()
    shared = sorted(set(images) & set(poses) & set(infos))
    camera = CameraModel.of_view((160, 120), 80.0, lens)
    room = SimulatedRoom(demo_photographs(), camera, seed=4, rate=10.0)
    for key in shared[:3]:
        frame = room.frame(round((key[0] + key[1] / 1e9) * 10))
        assert (pixels(images[key])[..., 0] == frame.image).all()
        pose = poses[key].pose
        assert poses[key].header.frame_id == 'hall'
        position = [getattr(pose.position, axis) for axis in 'xyz']
        quaternion = [getattr(pose.orientation, axis) for axis in 'xyzw']
        np.testing.assert_allclose(pose_matrix(position, quaternion), frame.pose, atol=1e-9)
        info = infos[key]
        assert info.header.frame_id == images[key].header.frame_id == 'front'
        assert (info.width, info.height, info.distortion_model) == (160, 120, 'plumb_bob')
        np.testing.assert_allclose(info.k, camera.matrix.ravel())
        np.testing.assert_allclose(info.p, np.c_[camera.matrix, np.zeros(3)].ravel())
        assert info.d.tolist() == lens


def test_the_room_is_published_as_a_stereo_pair_with_depth(start_player, listener):
    from sensor_msgs.msg import CameraInfo, Image

    topics = {
        'image': Image,
        'right/image': Image,
        'depth': Image,
        'right/camera_info': CameraInfo,
    }
    received = {topic: listener.listen(kind, topic, wait=False) for topic, kind in topics.items()}
    start_player(
        source='room', rate=5.0, width=160, height=120, stereo=True, depth=True, baseline=0.2
    )
    listener.wait_until(lambda: all(len(each) > 1 for each in received.values()), 60)
    last = {topic: messages[-1] for topic, messages in received.items()}
    focal = last['right/camera_info'].p[0]
    assert last['right/camera_info'].p[3] == pytest.approx(-0.2 * focal)
    assert (last['depth'].encoding, last['depth'].step) == ('32FC1', 640)
    depth = np.frombuffer(last['depth'].data, np.float32)
    assert 0.3 < depth.min() < depth.max() < 8
    stamps = [{(m.header.stamp.sec, m.header.stamp.nanosec) for m in r} for r in received.values()]
    assert len(set.intersection(*stamps)) >= 1
    assert last['image'].data != last['right/image'].data


def test_depths_of_reduced_images_are_those_at_the_centres_of_their_pixels(start_player, listener):
    from sensor_msgs.msg import Image

    received = listener.listen(Image, 'depth', wait=False)
    settings = {'source': 'room', 'width': 162, 'height': 120, 'depth': True}
    start_player(rate=5.0, max_side=54, **settings)
    listener.wait_until(lambda: len(received) > 0, 60)
    depth = np.frombuffer(received[0].data, np.float32).reshape(40, 54)
    room = open_source(PlayerSettings(rate=5.0, **settings))
    assert any(np.array_equal(depth, room.frame(i).depth[1::3, 1::3]) for i in range(100))


def test_the_calibration_of_reduced_images_is_reduced_with_them(start_player, listener):
    start_player(source='room', rate=10.0, width=160, height=120, max_side=80)
    (_, info), *_ = listener.receive(1, what='infos')
    assert (info.width, info.height) == (80, 60)
    whole = CameraModel.of_view((160, 120)).matrix
    # Twice the pixel, and its centre: (p + 0.5) / 2 - 0.5.
    expected = [whole[0, 0] / 2, (whole[0, 2] + 0.5) / 2 - 0.5, (whole[1, 2] + 0.5) / 2 - 0.5]
    np.testing.assert_allclose([info.k[0], info.k[2], info.k[5]], expected)


def test_a_recording_is_played_with_its_own_stamps_poses_and_calibration(
    start_player, listener, tmp_path
):
    for index in range(3):
        image = np.full((48, 64), 50 * index, np.uint8)
        cv2.imwrite(str(tmp_path / f'100.{index}.png'), image)
    lines = [f'100.{index} {index} 0 0 0 0 0 1' for index in range(3)]
    (tmp_path / 'groundtruth.txt').write_text('\n'.join(lines))
    (tmp_path / 'camera.yaml').write_text(
        'image_width: 64\nimage_height: 48\n'
        'camera_matrix: {data: [50, 0, 31.5, 0, 50, 23.5, 0, 0, 1]}\n'
        'distortion_coefficients: {data: [0.1, 0, 0, 0, 0]}\n'
    )
    calibration = str(tmp_path / 'camera.yaml')
    start_player(source=str(tmp_path), calibration=calibration, rate=10.0, recorded_stamps=True)
    listener.receive(5)
    listener.wait_until(lambda: len({stamp(message) for _, message in listener.poses}) == 3)
    poses = {stamp(message): message.pose.position.x for _, message in listener.poses}
    assert poses == {(100, 0): 0.0, (100, 100_000_000): 1.0, (100, 200_000_000): 2.0}
    for _, message in listener.images:
        place = round(message.header.stamp.nanosec / 1e8)
        assert int(pixels(message)[0, 0, 0]) == 50 * place
    assert listener.infos[0][1].k[0] == 50.0
    assert listener.infos[0][1].d.tolist() == [0.1, 0, 0, 0, 0]


def test_the_player_publishes_no_unknown_calibration_or_pose(start_player, listener, folder):
    start_player(source=str(folder), rate=40.0)
    listener.receive(2)
    listener.wait_until(lambda: listener.publishers('image') == 1)
    assert listener.publishers('camera_info') == 0
    assert listener.publishers('ground_truth/pose') == 0


def test_the_simulated_room_shows_the_users_photographs(start_player, receive_images, tmp_path):
    cv2.imwrite(str(tmp_path / 'white.png'), np.full((60, 80), 255, np.uint8))
    start_player(source='room', rate=10.0, width=64, height=48, photographs=str(tmp_path))
    (_, message), *_ = receive_images(1)
    assert pixels(message).min() > 150  # all is white, and more or less in the light


def test_the_player_reduces_large_images_on_demand(start_player, receive_images, tmp_path):
    cv2.imwrite(str(tmp_path / 'large.png'), np.full((300, 400), 77, np.uint8))
    start_player(source=str(tmp_path / 'large.png'), rate=20.0, max_side=200)
    (_, message), *_ = receive_images(1)
    assert (message.width, message.height) == (200, 150)
    assert np.all(pixels(message) == 77)


def test_the_player_ends_after_the_last_frame_without_loop(start_player, folder):
    player = start_player(source=str(folder), rate=50.0, loop=False)
    player.finish()
    assert 'published 3 frames' in player.output


def test_a_player_that_waits_for_simulated_time_says_so_until_it_begins(
    start_player, listener, folder
):
    player = start_player(source=str(folder), rate=50.0, use_sim_time=True)
    player.wait_for(
        'no images are published: use_sim_time is true, but no time has arrived on /clock'
    )
    node = listener.observer
    clock = node.create_publisher(Clock, '/clock', 1)
    node.create_timer(0.01, lambda: clock.publish(Clock(clock=node.get_clock().now().to_msg())))
    listener.receive(3)


def test_a_player_that_is_set_to_simulated_time_later_says_that_it_has_not_begun(
    start_player, listener, folder
):
    player = start_player(source=str(folder), rate=50.0)
    listener.receive(1)
    listener.rest(6.0)  # it checks its clock every five seconds
    (result,) = listener.set_parameters_of('player', use_sim_time=True)
    assert result.successful
    player.wait_for('no time has arrived on /clock')


def test_the_player_names_parameters_that_it_does_not_have(start_player, folder):
    player = start_player(sorce='room', exposure_time=0.1, source=str(folder))
    player.wait_for('the parameter sorce is unknown and is ignored: is source meant?')
    player.wait_for('the parameter exposure_time is unknown and is ignored; ros2 param list')


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'source': 'no/such/place'}, 'there is no no/such/place'),
        ({'source': 0.5}, 'source must be a string or a whole number, got 0.5'),
        ({'rate': -1.0}, 'rate out of range'),
        ({'rate': 'fast'}, "'rate'"),
        ({'width': 3}, 'width out of range'),
    ],
)
def test_invalid_parameters_of_the_player_are_named_and_end_it(start_player, parameters, words):
    player = start_player(**parameters)
    player.finish(1)
    assert words in player.output
    assert 'Traceback' not in player.output


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'photographs': 'no/such/folder'}, 'no/such/folder is not a folder'),
        ({'exposure': 0.9}, 'exposure must be 0 to'),
        ({'distortion': [-0.9, 0.0, 0.0, 0.0, 0.0]}, 'is not invertible'),
    ],
)
def test_invalid_settings_of_the_simulated_room_are_named(parameters, words):
    with pytest.raises((ValueError, NotADirectoryError), match=words):
        open_source(PlayerSettings(source='room', **parameters))


def test_the_seed_chooses_the_path_of_the_virtual_camera():
    frames = [next(iter(open_source(PlayerSettings(seed=seed)))) for seed in (0, 1, 1)]
    first, other, again = (frame.homography for frame in frames)
    np.testing.assert_array_equal(other, again)
    assert np.abs(first - other).max() > 1


def test_a_player_that_cannot_open_its_source_leaves_no_node(listener, tmp_path):
    from superpoint_ros.ros.player_node import PlayerNode

    with pytest.raises(FileNotFoundError, match='none.mp4') as raised:
        listener.add(PlayerNode, {'source': str(tmp_path / 'none.mp4')})
    assert raised.tb is not None  # its frames keep the node from being collected
    assert listener.observer.get_node_names() == ['observer']
