"""From a path to the sequence that is there."""

from __future__ import annotations

from pathlib import Path

from superpoint_ros.sequences.frames import DEFAULT_RATE, FrameSequence
from superpoint_ros.sequences.images import IMAGE_SUFFIXES, ImageSequence, list_images
from superpoint_ros.sequences.video import Video


def open_sequence(
    source: str | Path, color: bool = False, rate: float = DEFAULT_RATE
) -> FrameSequence:
    """
    Return the frames of `source`: an image, a folder of images, a video, or a camera.

    A camera is `/dev/videoN` or its number. Frames are gray unless `color`. `rate` in Hz gives
    the stamps of single images. Raises FileNotFoundError where there is nothing of that name,
    ValueError where it holds no frame that can be read.
    """
    path = Path(source)
    if path.is_dir():
        return ImageSequence(list_images(path), color, rate, where=f'the folder {path}')
    if str(source).isdecimal() and not path.exists():
        return Video(int(source), color, live=True)
    if not path.exists():
        raise FileNotFoundError(
            f'there is no {source}: give an image, a folder of images, a video file, '
            'or a camera (/dev/video0 or 0)'
        )
    if path.is_char_device():
        return Video(str(path), color, live=True)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSequence([path], color, rate, where=str(path))
    return Video(str(path), color, live=False)
