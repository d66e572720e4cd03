# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Homography benchmark in the layout of HPatches, made from photographs.

`v_*` sequences have the photograph and views of it by random homographies (rotation, scale,
perspective) with some noise and a changed exposure. Beyond the borders of the photograph they show
its mirror image, which counts as visible in one image only. `i_*` sequences have changes of
illumination and image quality: gain, gamma, shade, blur, noise, JPEG. Their camera also moves by a
few pixels; otherwise a detector that always returns the same grid of points would be perfect.

Close-ups are `v_*` sequences, too: a photograph, and parts of it that are turned by any angle and
magnified. In every second sequence image 1 is the close-up and the others are the photograph, so
that both directions of the change of scale occur. Views of a photograph from far away are left
out: the mirror images beyond its borders would be turned copies of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
import hashlib
import json
import logging
from pathlib import Path
import re

import cv2
import numpy as np

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.data.hpatches import INCOMPLETE, write_homography
from superpoint_ros.data.photometric import augment, PhotometricRanges
from superpoint_ros.data.random_homographies import HomographyRanges, sample_homography
from superpoint_ros.data.sequences.image_files import read_image, reduce_to_side
from superpoint_ros.geometry.homography import scaling, valid_mask
from superpoint_ros.visualization import write_picture

VIEWPOINT = HomographyRanges(
    translation=0.15,
    max_rotation=45.0,
    min_scale=0.5,
    max_scale=2.0,
    perspective=0.2,
    patch_ratio=1.0,
    allow_artifacts=True,
)
HAND_HELD = HomographyRanges(
    translation=0.02,
    max_rotation=1.5,
    min_scale=0.98,
    max_scale=1.02,
    perspective=0.01,
    patch_ratio=1.0,
    allow_artifacts=True,
)
CLOSE_UP = HomographyRanges(
    translation=0.4,
    max_rotation=180.0,
    min_scale=2.0,
    max_scale=4.0,
    perspective=0.1,
    patch_ratio=1.0,
)
EXPOSURE = PhotometricRanges.only(
    contrast_probability=1.0,
    min_contrast=0.85,
    max_contrast=1.1,
    brightness_probability=1.0,
    max_brightness=10.0,
    noise_probability=1.0,
    max_noise=3.0,
)
ILLUMINATION = PhotometricRanges.only(
    shade_probability=0.8,
    max_shade=0.7,
    contrast_probability=0.9,
    min_contrast=0.3,
    max_contrast=1.5,
    gamma_probability=0.8,
    max_gamma=2.2,
    brightness_probability=0.7,
    max_brightness=50.0,
    motion_blur_probability=0.2,
    max_motion_blur=5,
    blur_probability=0.4,
    max_blur=1.5,
    noise_probability=0.8,
    max_noise=12.0,
    jpeg_probability=0.5,
    min_jpeg_quality=30,
)
VIEWS = {
    'viewpoint': (VIEWPOINT, EXPOSURE),
    'illumination': (HAND_HELD, ILLUMINATION),
    'close_up': (CLOSE_UP, EXPOSURE),
}
"""Ranges of the homographies and of the changes of the pixels by kind of sequence."""
MIN_OVERLAP = 0.2
"""Smallest share of either image of a v_* pair that the other one shows."""
MIN_PHOTOGRAPH_SIDE = 64
"""Shortest side of a photograph in pixels."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkPlan(SettingsGroup):
    """Size of a benchmark."""

    viewpoint: int = setting(50, 'Number of v_* sequences.', range=(0, None))
    illumination: int = setting(50, 'Number of i_* sequences.', range=(0, None))
    close_ups: int = setting(
        0,
        'Number of additional v_* sequences with zoom 2 to 4 and rotation up to 180 degrees.',
        range=(0, None),
    )
    pairs: int = setting(
        5, 'Number of images in a sequence in addition to the first.', range=(1, None)
    )
    longest_side: int = setting(
        640,
        'Size to which the longer side of larger photographs is reduced.',
        unit='px',
        range=(MIN_PHOTOGRAPH_SIDE, None),
    )
    seed: int = setting(0, 'Random seed.', range=(0, None))

    def __post_init__(self):
        super().__post_init__()
        if self.sequences < 1:
            raise ValueError(
                'viewpoint, illumination and close_ups are all 0: there is nothing to make'
            )

    @property
    def sequences(self) -> int:
        """Return the number of all sequences."""
        return self.viewpoint + self.illumination + self.close_ups

    @property
    def kinds(self) -> list[str]:
        """Return the kind of each sequence, in order."""
        return [
            *['viewpoint'] * self.viewpoint,
            *['illumination'] * self.illumination,
            *['close_up'] * self.close_ups,
        ]


def make_benchmark(
    photographs: Sequence[Path],
    out: Path,
    plan: BenchmarkPlan,
    on_sequence: Callable[[], None] = lambda: None,
) -> list[Path]:
    """
    Write a benchmark and return the photographs that could not be used, which are logged, too.

    The folder `out`, which must be new or empty, gets the sequences and `manifest.json`: the plan,
    the ranges, and the name and SHA-256 of each photograph. The seed gives the order of the
    photographs, first for viewpoint, then for illumination, then for close-ups; if there are too
    few, they are used again. Raises ValueError if none can be used.
    """
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise ValueError(f'{out} is not empty: give a new folder for the benchmark')
    order = np.random.default_rng(plan.seed).permutation(len(photographs))
    bad: list[Path] = []
    usable = _usable([Path(photographs[index]) for index in order], plan.longest_side, bad)
    made: list[dict] = []
    # The kinds first: when they end, no further photograph is loaded.
    for number, (kind, (path, photograph)) in enumerate(zip(plan.kinds, usable, strict=False)):
        (out / INCOMPLETE).touch()
        stem = re.sub(r'[^A-Za-z0-9._-]+', '_', path.stem)[:60]
        folder = out / f'{"i" if kind == "illumination" else "v"}_{number:03d}_{stem}'
        _write_sequence(folder, photograph, kind, plan.pairs, [plan.seed, number])
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append({'sequence': folder.name, 'photograph': path.name, 'sha256': digest})
        on_sequence()
    manifest = {
        'plan': asdict(plan),
        'viewpoint': asdict(VIEWPOINT),
        'close_up': asdict(CLOSE_UP),
        'viewpoint_exposure': asdict(EXPOSURE),
        'illumination': asdict(ILLUMINATION),
        'illumination_viewpoint': asdict(HAND_HELD),
        'min_overlap': MIN_OVERLAP,
        'sequences': made,
    }
    (out / 'manifest.json').write_text(json.dumps(manifest, indent=1) + '\n', encoding='utf-8')
    (out / INCOMPLETE).unlink()
    return bad


def _usable(
    paths: list[Path], longest_side: int, bad: list[Path]
) -> Iterator[tuple[Path, np.ndarray]]:
    """
    Yield usable photographs in order, again after the last one; add the others to `bad`.

    Raises ValueError if none is usable.
    """
    waiting = deque(paths)
    while waiting:
        path = waiting.popleft()
        try:
            photograph = _load(path, longest_side)
        except (ValueError, OSError) as error:
            _log.warning('skipped: %s', error)
            bad.append(path)
            continue
        waiting.append(path)
        yield path, photograph
    raise ValueError(f'none of the photographs can be used ({len(bad)} skipped)')


def _load(path: Path, longest_side: int) -> np.ndarray:
    """Return the photograph in gray, reduced to the longest side."""
    photograph = read_image(path)
    height, width = photograph.shape
    if min(height, width) < MIN_PHOTOGRAPH_SIDE:
        raise ValueError(
            f'{path} is too small, {width}x{height}: {MIN_PHOTOGRAPH_SIDE} px are needed'
        )
    return reduce_to_side(photograph, longest_side)


def _write_sequence(
    folder: Path, photograph: np.ndarray, kind: str, pairs: int, key: Sequence[int]
) -> None:
    """Write one sequence: image 1, the others, and their homographies from image 1."""
    folder.mkdir()
    size = photograph.shape[::-1]
    views, changes = VIEWS[kind]
    first, to_first = photograph, np.eye(3)
    if kind == 'close_up' and key[-1] % 2:
        to_first = sample_homography(np.random.default_rng(key), size, views)
        first, views = render_view(photograph, to_first), HAND_HELD
    write_picture(folder / '1.png', first)
    for number in range(2, pairs + 2):
        rng = np.random.default_rng([*key, number])
        sample = sample_homography if views is CLOSE_UP else sample_view
        homography = sample(rng, size, views)
        image = augment(render_view(photograph, homography), rng, changes)
        write_picture(folder / f'{number}.png', image)
        write_homography(folder / f'H_1_{number}', homography @ np.linalg.inv(to_first))


def sample_view(
    rng: np.random.Generator, size: tuple[int, int], ranges: HomographyRanges
) -> np.ndarray:
    """Return a random homography with an overlap of `MIN_OVERLAP` or more in both images."""
    while True:
        homography = sample_homography(rng, size, ranges)
        forward = valid_mask(homography, size).mean()
        backward = valid_mask(np.linalg.inv(homography), size).mean()
        if min(forward, backward) >= MIN_OVERLAP:
            return homography


def render_view(image: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Return the warped image, rendered at three times its size and reduced against aliasing."""
    height, width = image.shape
    large = cv2.warpPerspective(
        image,
        scaling(3) @ homography,
        (3 * width, 3 * height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
