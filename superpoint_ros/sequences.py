"""
Images one after another: from a picture, a folder, a video, a camera, or a virtual camera.

Every sequence is iterable and gives frames. Iterating anew starts from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
import logging
import math
from pathlib import Path
import re
import time
from typing import ClassVar

import cv2
import numpy as np

from superpoint_ros.homography import scaling, warp_image

IMAGE_SUFFIXES = frozenset(
    ('.bmp', '.jpeg', '.jpg', '.jp2', '.pbm', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff')
    + ('.webp',)
)
DEFAULT_RATE = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Frame:
    """
    Hold one image of a sequence.

    `image` is uint8, (H, W) gray or (H, W, 3) BGR. `stamp` is in seconds: since the sequence's
    start, for a camera since 1970. `name` says which frame it is, unique within its sequence.
    `homography` (3, 3) maps the frame's pixels to those of the photograph that it shows, where
    that is known, and `photograph` is that one's index.
    """

    image: np.ndarray
    stamp: float
    name: str
    homography: np.ndarray | None = None
    photograph: int | None = None


def read_image(path: str | Path, color: bool = False) -> np.ndarray:
    """
    Return the image in the file, uint8: gray (H, W), or BGR (H, W, 3) where `color`.

    Raises FileNotFoundError where there is no such file, ValueError where it is no image.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no image file {path}')
    image = None
    # An empty buffer is an error of its own in OpenCV; so is an image of absurd size.
    data = np.fromfile(path, np.uint8)
    if data.size:
        try:
            image = cv2.imdecode(data, cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE)
        except cv2.error as error:
            raise ValueError(f'{path} cannot be read as an image: {error.err}') from error
    if image is None:
        raise ValueError(f'{path} cannot be read as an image (empty, damaged or another format)')
    return image


def list_images(folder: str | Path) -> list[Path]:
    """
    Return the folder's files that are named like images, in natural order (2 before 10).

    Subfolders and hidden files are left out. Raises NotADirectoryError where it is no folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f'{folder} is not a folder')
    files = (path for path in folder.iterdir() if not path.name.startswith('.'))
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    return sorted(images, key=lambda path: _natural_key(path.name))


def _natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key by which the numbers in names count as numbers."""
    parts = re.findall(r'\d+|\D+', name.lower())
    return [(0, int(part), '') if part.isdecimal() else (1, 0, part) for part in parts]


def open_sequence(
    source: str | Path, color: bool = False, rate: float = DEFAULT_RATE
) -> ImageSequence | Video:
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


class ImageSequence:
    """
    The frames of image files, in the order given, `rate` of them a second.

    Files that cannot be read are named in the log and skipped. Raises ValueError where none is
    left; `where` names their place in that message.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        color: bool = False,
        rate: float = DEFAULT_RATE,
        where: str = 'the list of files',
    ):
        self.paths = list(paths)
        self.rate = float(rate)
        self._color = color
        if not self.paths:
            raise ValueError(
                f'{where} holds no images (files ending in {", ".join(sorted(IMAGE_SUFFIXES))})'
            )
        if not any(_is_readable(path) for path in self.paths):
            raise ValueError(f'{where} holds no image that can be read')

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for path in self.paths:
            try:
                image = read_image(path, self._color)
            except (ValueError, OSError) as error:
                _log.warning('skipped: %s', error)
                continue
            yield Frame(image, index / self.rate, path.name)
            index += 1


def _is_readable(path: Path) -> bool:
    """Return whether the file can be read as an image."""
    try:
        read_image(path)
    except (ValueError, OSError):
        return False
    return True


class Video:
    """
    The frames of a video file, or of a camera where `live`.

    `rate` is the file's or the camera's own, in Hz. Raises ValueError where it cannot be opened or
    gives no frame. A camera's frames never end; they end where it is unplugged.
    """

    def __init__(self, source: str | int, color: bool = False, live: bool = False):
        self._source, self._color, self._live = source, color, live
        capture = self._open()
        reported = capture.get(cv2.CAP_PROP_FPS)
        has_frame, _ = (True, None) if live else capture.read()
        capture.release()
        if not has_frame:
            raise ValueError(f'{source} holds no frame that can be read')
        self.rate = reported if 0 < reported < 1000 else DEFAULT_RATE

    def _open(self) -> cv2.VideoCapture:
        """Return the opened capture."""
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            if self._live:
                raise ValueError(f'no camera answers at {self._source}: try /dev/video0 or 0')
            raise ValueError(f'{self._source} is neither an image nor a video that can be read')
        return capture

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        try:
            index = 0
            while True:
                has_frame, image = capture.read()
                if not has_frame:
                    return
                if not self._color and image.ndim == 3:
                    image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
                stamp = time.time() if self._live else index / self.rate
                yield Frame(image, stamp, f'{index:06d}')
                index += 1
        finally:
            capture.release()


class VirtualCamera:
    """
    A camera that pans, turns and zooms over photographs, smoothly and without end.

    `photographs` are paths, or uint8 images (H, W) or (H, W, 3); frames have `size` (width,
    height), are gray unless `color`, and come `rate` a second. Each photograph is shown for
    `seconds_each`, then the next, and so on from the first. What is seen depends on nothing but
    the photographs, the size and the `seed`. Every frame shows the photograph only, nothing
    beyond its borders, and carries the homography from its pixels to the photograph's.

    Raises ValueError where there is no photograph, or a size of less than one pixel.
    """

    MAX_ANGLE = math.radians(20)
    NEAREST, FURTHEST = 0.5, 0.95  # the view's size, of the largest that fits in any turn
    PERIODS: ClassVar = {'x': 11.0, 'y': 7.3, 'angle': 17.9, 'zoom': 13.1}  # s, never in step

    def __init__(
        self,
        photographs: Iterable[str | Path | np.ndarray],
        size: tuple[int, int] = (640, 480),
        seed: int = 0,
        color: bool = False,
        rate: float = DEFAULT_RATE,
        seconds_each: float = 10.0,
    ):
        self.size, self.rate, self.seconds_each = tuple(size), float(rate), seconds_each
        if min(self.size) < 1:
            raise ValueError(f'a frame needs a width and a height of 1 or more, got {size}')
        self._scenes = [self._scene(photograph, color) for photograph in photographs]
        if not self._scenes:
            raise ValueError('a virtual camera needs at least one photograph')
        rng = np.random.default_rng(seed)
        self._phases = {name: rng.uniform(0, 2 * math.pi) for name in self.PERIODS}

    def _scene(self, photograph: str | Path | np.ndarray, color: bool) -> tuple:
        """Return the photograph at a size without aliasing, and its scale from the original."""
        if not isinstance(photograph, np.ndarray):
            photograph = read_image(photograph, color)
        elif photograph.ndim == 3 and not color:
            photograph = cv2.cvtColor(photograph, cv2.COLOR_BGR2GRAY)
        elif photograph.ndim == 2 and color:
            photograph = cv2.cvtColor(photograph, cv2.COLOR_GRAY2BGR)
        height, width = photograph.shape[:2]
        # At most 1.5 pixels of the photograph to one of the frame: linear interpolation sees all.
        scale = min(1.0, 1.5 / self._largest_scale(width, height))
        if scale == 1.0:
            return photograph, np.eye(3)
        reduced = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(photograph, reduced, interpolation=cv2.INTER_AREA)
        return image, scaling(width / reduced[0], height / reduced[1])

    def _largest_scale(self, width: int, height: int) -> float:
        """Return pixels of the photograph to one of the frame where the view fits in any turn."""
        # Corners turned outward by up to MAX_ANGLE; a border of one pixel is kept for rounding.
        w, h = self.size
        sine = math.sin(self.MAX_ANGLE)
        return min(max(width - 2, 1) / (w + h * sine), max(height - 2, 1) / (h + w * sine))

    def _wave(self, name: str, seconds: float) -> float:
        """Return where the motion of that name stands, from -1 to 1."""
        return math.sin(2 * math.pi * seconds / self.PERIODS[name] + self._phases[name])

    def frame(self, index: int) -> Frame:
        """Return frame number `index`, from 0; any frame at any time."""
        seconds = index / self.rate
        photograph = int(seconds // self.seconds_each) % len(self._scenes)
        image, to_original = self._scenes[photograph]
        height, width = image.shape[:2]
        w, h = self.size
        middle, amplitude = (self.FURTHEST + self.NEAREST) / 2, (self.FURTHEST - self.NEAREST) / 2
        zoom = middle + amplitude * self._wave('zoom', seconds)
        largest = self._largest_scale(width, height)
        angle, scale = self.MAX_ANGLE * self._wave('angle', seconds), largest * zoom
        sine = math.sin(self.MAX_ANGLE)
        free_x = max((width - 2 - scale * (w + h * sine)) / 2, 0)
        free_y = max((height - 2 - scale * (h + w * sine)) / 2, 0)
        x = (width - 1) / 2 + free_x * self._wave('x', seconds)
        y = (height - 1) / 2 + free_y * self._wave('y', seconds)
        c, s = scale * math.cos(angle), scale * math.sin(angle)
        u, v = (w - 1) / 2, (h - 1) / 2
        view = np.array([[c, -s, x - c * u + s * v], [s, c, y - s * u - c * v], [0, 0, 1.0]])
        picture = warp_image(image, np.linalg.inv(view), self.size, cv2.BORDER_REPLICATE)
        return Frame(picture, seconds, f'{index:06d}', to_original @ view, photograph)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            yield self.frame(index)
            index += 1
