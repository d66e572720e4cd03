# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames come from pictures, folders, videos, cameras, and a virtual camera."""

from __future__ import annotations

from contextlib import suppress
import itertools
import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from superpoint_ros.data.sequences.frame_files import ImageSequence
from superpoint_ros.data.sequences.image_files import (
    evenly_spaced,
    find_photographs,
    IMAGE_SUFFIXES,
    list_images,
    read_image,
    read_mask,
    reduce_to_side,
)
from superpoint_ros.data.sequences.opening import open_sequence
from superpoint_ros.data.sequences.virtual_camera import VirtualCamera
from superpoint_ros.geometry.homography import image_corners, warp_points
from superpoint_ros.simulation.room import SimulatedRoom


def write(path, value, size=(16, 12)):
    assert cv2.imwrite(str(path), np.full((size[1], size[0]), value, np.uint8))


def test_a_folder_gives_its_images_in_natural_order(tmp_path):
    for name, value in (('frame10.png', 30), ('frame2.png', 20), ('Frame1.png', 10)):
        write(tmp_path / name, value)
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / '.hidden.png').write_text('no image')
    frames = list(open_sequence(tmp_path))
    assert [frame.name for frame in frames] == ['Frame1.png', 'frame2.png', 'frame10.png']
    assert [int(frame.image[0, 0]) for frame in frames] == [10, 20, 30]
    assert [frame.stamp for frame in frames] == pytest.approx([0.0, 1 / 30, 2 / 30])
    assert frames[0].image.shape == (12, 16)
    assert frames[0].image.dtype == np.uint8


def test_evenly_spaced_items_are_the_first_the_last_and_some_between():
    items = list(range(1000))
    assert evenly_spaced(items, 4) == [0, 333, 666, 999]
    assert evenly_spaced(items, 1) == [0]
    assert evenly_spaced(items, 0) == evenly_spaced([], 4) == []
    assert evenly_spaced(items[:3], 4) == [0, 1, 2]


@pytest.mark.parametrize(
    ('longest', 'size'), [(100, (100, 50)), (30, (30, 15)), (200, (200, 100)), (0, (200, 100))]
)
def test_images_are_reduced_to_their_longest_side_and_never_enlarged(longest, size):
    image = np.zeros((100, 200), np.uint8)
    assert reduce_to_side(image, longest).shape[::-1] == size
    assert reduce_to_side(image.T, longest).shape == size
    assert reduce_to_side(image[:3], longest).shape[0] >= 1
    assert reduce_to_side(image, 300) is image


def test_a_folder_of_photographs_must_have_some(tmp_path):
    with pytest.raises(ValueError, match=f'{tmp_path} has no images'):
        find_photographs(tmp_path)
    assert len(find_photographs(None)) == len(find_photographs('')) > 1


def test_a_sequence_can_be_iterated_again(tmp_path):
    write(tmp_path / 'a.png', 1)
    sequence = open_sequence(tmp_path)
    assert [len(list(sequence)), len(list(sequence))] == [1, 1]


def test_unreadable_images_are_named_and_skipped(tmp_path, caplog):
    write(tmp_path / '1.png', 10)
    (tmp_path / '2.png').write_bytes(b'not a picture')
    (tmp_path / '3.png').write_bytes(b'')
    write(tmp_path / '4.png', 40)
    with caplog.at_level(logging.WARNING):
        frames = list(open_sequence(tmp_path))
    assert [int(frame.image[0, 0]) for frame in frames] == [10, 40]
    assert '2.png' in caplog.text
    assert '3.png' in caplog.text


def test_a_folder_without_a_readable_image_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='has no images'):
        open_sequence(tmp_path)
    (tmp_path / 'bad.png').write_bytes(b'not a picture')
    with pytest.raises(ValueError, match='no image that can be read'):
        open_sequence(tmp_path)


def test_one_image_is_a_sequence_of_one_in_gray_or_color(tmp_path):
    path = tmp_path / 'red.png'
    cv2.imwrite(str(path), np.full((12, 16, 3), (0, 0, 255), np.uint8))
    (gray,) = open_sequence(str(path))
    (color,) = open_sequence(str(path), color=True)
    assert gray.image.shape == (12, 16)
    assert int(gray.image[0, 0]) == 76  # 0.299 of 255
    assert color.image[3, 3].tolist() == [0, 0, 255]
    assert (gray.name, gray.stamp) == ('red.png', 0.0)


def test_a_video_gives_its_frames_with_its_own_times(tmp_path):
    path = str(tmp_path / 'video.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 20, (64, 48))
    assert writer.isOpened()
    for value in (20, 120, 220):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    sequence = open_sequence(path)
    frames = list(sequence)
    assert sequence.rate == pytest.approx(20)
    assert [frame.stamp for frame in frames] == pytest.approx([0, 0.05, 0.1])
    assert [frame.name for frame in frames] == ['000000', '000001', '000002']
    for frame, value in zip(frames, (20, 120, 220), strict=True):
        assert frame.image.shape == (48, 64)
        assert abs(int(frame.image[24, 32]) - value) <= 3
    (first, *_) = open_sequence(path, color=True)
    assert first.image.shape == (48, 64, 3)


def test_frames_of_a_video_without_times_have_those_of_its_rate(tmp_path, monkeypatch):
    path = str(tmp_path / 'video.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 20, (64, 48))
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    monkeypatch.setattr('cv2.CAP_PROP_POS_MSEC', -1)  # an unknown property, which is 0
    assert [frame.stamp for frame in open_sequence(path)] == pytest.approx([0, 0.05, 0.1])


def test_links_to_missing_files_are_left_out_with_a_warning(tmp_path, caplog):
    write(tmp_path / 'a.png', 10)
    (tmp_path / 'b.png').symlink_to(tmp_path / 'a.png')
    for name in ('d.png', 'c.png', '.e.png', 'f.txt'):
        (tmp_path / name).symlink_to(tmp_path / 'missing')
    assert [path.name for path in list_images(tmp_path)] == ['a.png', 'b.png']
    [message] = caplog.messages
    assert (
        message
        == f'links to missing or closed files in {tmp_path} left out: 2, the first is c.png'
    )


def test_a_missing_or_unreadable_source_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'there is no nowhere/x\.mp4'):
        open_sequence('nowhere/x.mp4')
    text = tmp_path / 'text.mp4'
    text.write_text('not a video')
    with pytest.raises(ValueError, match=r'text\.mp4 is neither an image nor a video'):
        open_sequence(text)
    text = text.rename(tmp_path / os.fsdecode(b'caf\xe9.mp4'))
    with pytest.raises(ValueError, match='is not a path in UTF-8, as OpenCV needs'):
        open_sequence(text)
    for number in ('937', Path('937')):
        with pytest.raises(ValueError, match='cannot open a camera at 937'):
            open_sequence(number)
    with pytest.raises(FileNotFoundError, match='no image file'):
        read_image(tmp_path / 'none.png')
    with pytest.raises(NotADirectoryError, match='is not a folder'):
        list_images(text)
    with pytest.raises(ValueError, match='has no images'):
        ImageSequence([])


def encode(suffix, gray):
    """Return a file with the picture, in gray or if need be in colour; None if it is refused."""
    for pixels in (gray, cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)):
        with suppress(cv2.error):  # OpenCV 4.14 returns False instead
            is_written, data = cv2.imencode(suffix, pixels)
            if is_written:
                return data.tobytes()
    return None


@pytest.mark.parametrize('suffix', sorted(IMAGE_SUFFIXES))
def test_images_of_all_formats_of_opencv_are_found_in_folders_and_read(tmp_path, suffix):
    picture = np.full((32, 32), 255, np.uint8)
    picture[:, :16] = 0
    path = tmp_path / f'picture{suffix.upper()}'
    encoded = encode(suffix, picture)
    if encoded is None:
        pytest.skip(f'this OpenCV does not write {suffix}')
    path.write_bytes(encoded)
    assert list_images(tmp_path) == [path]
    [frame] = open_sequence(tmp_path)
    assert np.abs(frame.image.astype(int) - picture).max() <= 16
    assert read_image(path, color=True).shape == (32, 32, 3)


def test_a_file_in_a_format_that_opencv_does_not_read_is_named(tmp_path):
    path = tmp_path / 'later.avif'
    path.write_bytes(b'RIFF of another format')
    assert list_images(tmp_path) == [path]
    with pytest.raises(ValueError, match=f'later.avif .* OpenCV {cv2.__version__} does not read'):
        read_image(path)


def test_an_animated_gif_is_a_video_and_its_first_image_a_photograph(tmp_path):
    pillow = pytest.importorskip('PIL.Image', reason='OpenCV 4.6 does not write GIF files')
    levels = (20, 120, 220)
    first, *rest = (pillow.fromarray(np.full((32, 48), level, np.uint8)) for level in levels)
    path = tmp_path / 'moving.gif'
    first.save(path, save_all=True, append_images=rest, duration=[100, 300, 200])
    frames = list(open_sequence(path))
    assert [frame.stamp for frame in frames] == pytest.approx([0.0, 0.1, 0.4])
    assert [int(frame.image[16, 24]) for frame in frames] == pytest.approx(levels, abs=3)
    if cv2.haveImageReader(str(path)):
        assert (read_image(path) == 20).all()


# A photograph whose gray value tells the place: rising to the right, so that a frame's pixels can
# be compared with where its homography says that they come from.
RAMP = np.tile(np.linspace(0, 240, 400), (300, 1)).astype(np.uint8)
PLACE = np.arange(400) * 240 / 399


@pytest.mark.parametrize('color', [False, True])
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_tiff_files_of_any_type_are_read(tmp_path, kind, channels, color):
    levels = np.repeat(np.arange(256, dtype=kind), channels).reshape(16, 16, channels)
    uncompressed = [cv2.IMWRITE_TIFF_COMPRESSION, 1]  # OpenCV 4.6 would write floats with losses
    if not cv2.imwrite(str(tmp_path / 'a.tif'), levels, uncompressed):
        pytest.skip(f'this OpenCV does not write {channels} channels of {kind.__name__}')
    image = read_image(tmp_path / 'a.tif', color)
    assert (image.dtype, image.shape) == (np.uint8, (16, 16, 3) if color else (16, 16))
    assert np.abs(image.reshape(256, -1) - np.arange(256.0)[:, None]).max() <= 1


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
@pytest.mark.parametrize('allowed', [1, 255])
def test_a_mask_is_black_only_where_its_image_is_0(tmp_path, kind, allowed):
    pixels = np.full((48, 64), allowed, kind)
    pixels[0, 0] = 0
    cv2.imwrite(str(tmp_path / 'mask.png'), pixels)
    mask = read_mask(tmp_path / 'mask.png')
    assert (mask.dtype, mask.shape) == (np.uint8, (48, 64))
    assert mask[0, 0] == 0
    assert (mask.ravel()[1:] == 255).all()


def test_frames_of_a_virtual_camera_agree_with_their_homography():
    camera = VirtualCamera([RAMP], size=(80, 60), seed=4)
    for index in (0, 37, 500, 12345):
        frame = camera.frame(index)
        assert frame.image.shape == (60, 80)
        points = np.array([[10, 10], [40, 30], [70, 50]], float)
        x = warp_points(points, frame.homography)[:, 0]
        shown = [int(frame.image[int(v), int(u)]) for u, v in points]
        assert shown == pytest.approx(np.interp(x, np.arange(400), PLACE), abs=1.5)


def test_a_virtual_camera_never_leaves_the_photograph_and_moves_smoothly():
    size = (80, 60)
    camera, corners = VirtualCamera([RAMP], size=size, seed=1, rate=30), image_corners(size)
    seen = np.array([warp_points(corners, camera.frame(i).homography) for i in range(900)])
    assert seen[..., 0].min() >= 0
    assert seen[..., 0].max() <= 399
    assert seen[..., 1].min() >= 0
    assert seen[..., 1].max() <= 299
    steps = np.abs(np.diff(seen, axis=0))
    assert 0.5 < steps.max() < 8
    # Smooth: the speed changes much less than it is.
    assert np.abs(np.diff(seen, 2, axis=0)).max() < 0.1 * steps.max()
    widths = np.linalg.norm(seen[:, 1] - seen[:, 0], axis=1)
    assert widths.max() / widths.min() > 1.7
    turns = np.degrees(np.arctan2(*(seen[:, 1] - seen[:, 0]).T[::-1]))
    assert turns.max() > 15
    assert turns.min() < -15


def test_a_virtual_camera_is_seeded_endless_and_visits_every_photograph():
    photographs = [RAMP, RAMP.T.copy()]
    camera = VirtualCamera(photographs, size=(32, 24), seed=5, rate=10, seconds_each=0.5)
    again = VirtualCamera(photographs, size=(32, 24), seed=5, rate=10, seconds_each=0.5)
    other = VirtualCamera(photographs, size=(32, 24), seed=6, rate=10, seconds_each=0.5)
    frames = list(itertools.islice(camera, 12))
    assert [frame.photograph for frame in frames] == [0] * 5 + [1] * 5 + [0] * 2
    assert [frame.stamp for frame in frames[:3]] == pytest.approx([0, 0.1, 0.2])
    assert all(
        (a.image == b.image).all()
        for a, b in zip(frames, itertools.islice(again, 12), strict=True)
    )
    assert (frames[0].image != other.frame(0).image).any()


def test_a_virtual_camera_reads_files_in_color_and_large_ones_without_aliasing(tmp_path):
    # Stripes of one pixel at 4000 px are gray from afar, at any place of the frame.
    stripes = np.zeros((3000, 4000, 3), np.uint8)
    stripes[:, ::2] = 255
    path = tmp_path / 'stripes.png'
    cv2.imwrite(str(path), stripes)
    camera = VirtualCamera([path], size=(64, 48), color=True)
    frame = camera.frame(0)
    assert frame.image.shape == (48, 64, 3)
    assert np.ptp(frame.image) < 30
    seen = warp_points(image_corners((64, 48)), frame.homography)
    assert 1000 < np.ptp(seen[:, 0]) < 4000


def test_a_virtual_camera_needs_a_photograph_and_a_size():
    with pytest.raises(ValueError, match='at least one photograph'):
        VirtualCamera([])
    with pytest.raises(ValueError, match=r'got \(0, 5\)'):
        VirtualCamera([RAMP], size=(0, 5))


@pytest.mark.parametrize('scene', [VirtualCamera, SimulatedRoom])
def test_cameras_over_photographs_skip_and_name_those_that_cannot_be_read(scene, tmp_path, caplog):
    good, bad = tmp_path / 'good.png', tmp_path / 'bad.png'
    cv2.imwrite(str(good), RAMP)
    bad.write_bytes(b'no image')
    with_bad, without = (scene(photographs).frame(0) for photographs in ([bad, good], [good]))
    assert (with_bad.image == without.image).all()
    assert f'skipped: {bad} cannot be read as an image' in caplog.text
    with pytest.raises(ValueError, match=f'{bad} cannot be read as an image'):
        scene([bad])
    with pytest.raises(FileNotFoundError, match='there is no image file'):
        scene([tmp_path / 'missing.png'])
