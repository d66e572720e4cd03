# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Random photometric changes: illumination, blur, sensor noise and compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from superpoint_ros.common.settings_table import setting, SettingsGroup, table_of

SHARE = (0.0, 1.0)


@dataclass(frozen=True)
class PhotometricRanges(SettingsGroup):
    """
    Photometric changes that ``augment`` makes, how often and how strongly.

    The strength of each change is drawn uniformly up to its limit. The defaults are for training.
    """

    shade_probability: float = setting(
        0.4, 'Share of the images with soft, darker or lighter ellipses.', range=SHARE
    )
    max_shades: int = setting(10, 'Largest number of ellipses per image.', range=(1, 1000))
    max_shade: float = setting(0.5, 'Largest relative change of an ellipse.', range=SHARE)
    contrast_probability: float = setting(
        0.5, 'Share of the images with another contrast about mid-gray.', range=SHARE
    )
    min_contrast: float = setting(0.5, 'Smallest factor of the contrast.', range=(0.0, 10.0))
    max_contrast: float = setting(1.4, 'Largest factor of the contrast.', range=(0.0, 10.0))
    gamma_probability: float = setting(0.3, 'Share of the images with another gamma.', range=SHARE)
    max_gamma: float = setting(
        1.6, 'Largest gamma; its inverse is the smallest.', range=(1.0, 10.0)
    )
    brightness_probability: float = setting(
        0.5, 'Share of the images with another brightness.', range=SHARE
    )
    max_brightness: float = setting(
        50.0, 'Largest change of the brightness, in gray levels.', range=(0.0, 255.0)
    )
    motion_blur_probability: float = setting(
        0.15, 'Share of the images with motion blur.', range=SHARE
    )
    max_motion_blur: int = setting(
        5, 'Largest length of the motion blur.', unit='px', range=(1, 100)
    )
    blur_probability: float = setting(0.2, 'Share of the images with Gaussian blur.', range=SHARE)
    max_blur: float = setting(
        1.2, 'Largest standard deviation of the Gaussian blur.', unit='px', range=(0.01, 50.0)
    )
    noise_probability: float = setting(0.5, 'Share of the images with noise.', range=SHARE)
    max_noise: float = setting(
        12.0,
        'Largest standard deviation of the noise, in gray levels.',
        range=(0.0, 255.0),
    )
    speckle_probability: float = setting(
        0.2, 'Share of the images with noise in proportion to the brightness.', range=SHARE
    )
    max_speckle: float = setting(
        0.1, 'Largest standard deviation of that noise, relative.', range=(0.0, 10.0)
    )
    salt_probability: float = setting(
        0.15, 'Share of the images with black and white pixels.', range=SHARE
    )
    max_salt: float = setting(
        0.006, 'Largest share of black and white pixels in an image.', range=SHARE
    )
    jpeg_probability: float = setting(
        0.2, 'Share of the images with JPEG compression.', range=SHARE
    )
    min_jpeg_quality: int = setting(30, 'Lowest JPEG quality; the highest is 95.', range=(1, 95))

    def __post_init__(self):
        super().__post_init__()
        self.check_order('min_contrast', 'max_contrast')

    @classmethod
    def only(cls, **ranges: float) -> PhotometricRanges:
        """Return ranges whose probabilities are 0, except for those that are given."""
        never = {name: 0.0 for name in table_of(cls) if name.endswith('_probability')}
        return cls(**{**never, **ranges})


NOISE = PhotometricRanges.only(
    shade_probability=0.5,
    max_shades=5,
    max_shade=0.4,
    contrast_probability=0.5,
    min_contrast=0.5,
    max_contrast=1.2,
    brightness_probability=0.5,
    max_brightness=30.0,
    motion_blur_probability=0.25,
    blur_probability=0.25,
    noise_probability=1.0,
    speckle_probability=0.5,
    salt_probability=0.5,
    max_salt=0.01,
)
"""Noise with which MagicPoint is measured on synthetic shapes (paper, section 4)."""


def augment(image: np.ndarray, rng: np.random.Generator, ranges: PhotometricRanges) -> np.ndarray:
    """
    Return a copy of the image, uint8 (H, W), with random changes.

    The same state of `rng` gives the same changes. Values are clipped to 0 and 255; points do not
    move. Raises ValueError if the image has another type or shape.
    """
    if image.ndim != 2 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(
            f'augment takes a uint8 image (H, W), got {image.dtype} of shape {image.shape}'
        )
    image = image.copy()
    if rng.random() < ranges.shade_probability:
        image = _shade(image, rng, ranges)
    image = _tones(image, rng, ranges)
    if rng.random() < ranges.motion_blur_probability:
        image = _motion_blur(image, rng, ranges.max_motion_blur)
    if rng.random() < ranges.blur_probability:
        image = cv2.GaussianBlur(image, (0, 0), max(0.01, rng.uniform(0, ranges.max_blur)))
    image = _sensor_noise(image, rng, ranges)
    if rng.random() < ranges.salt_probability:
        _salt_and_pepper(image, rng, ranges.max_salt)
    if rng.random() < ranges.jpeg_probability:
        quality = int(rng.integers(ranges.min_jpeg_quality, 96))
        _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    return image


def _shade(image: np.ndarray, rng: np.random.Generator, ranges: PhotometricRanges) -> np.ndarray:
    """
    Return the image with soft, darker or lighter ellipses.

    They are drawn at reduced resolution, since they are blurred anyway.
    """
    height, width = image.shape
    step = max(1, min(height, width) // 30)
    shade = np.zeros((-(-height // step), -(-width // step)), np.float32)
    side = min(shade.shape)
    for _ in range(rng.integers(1, ranges.max_shades + 1)):
        x, y, a, b, angle, strength = rng.random(6)
        centre = (int(x * shade.shape[1]), int(y * shade.shape[0]))
        radii = (int((0.1 + 0.4 * a) * side) + 1, int((0.1 + 0.4 * b) * side) + 1)
        strength = (2 * strength - 1) * ranges.max_shade
        cv2.ellipse(shade, centre, radii, 180 * angle, 0, 360, strength, -1)
    shade = cv2.GaussianBlur(shade, (0, 0), side * rng.uniform(0.05, 0.15))
    np.clip(shade, -ranges.max_shade, ranges.max_shade, out=shade)
    gain = cv2.resize(1 + shade, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(image, gain, dtype=cv2.CV_8U)


def _tones(image: np.ndarray, rng: np.random.Generator, ranges: PhotometricRanges) -> np.ndarray:
    """Return the image with changed contrast, gamma and brightness, by one lookup table."""
    levels = unchanged = np.arange(256, dtype=np.float32)
    if rng.random() < ranges.contrast_probability:
        levels = (levels - 128) * rng.uniform(ranges.min_contrast, ranges.max_contrast) + 128
    if rng.random() < ranges.gamma_probability:
        gamma = ranges.max_gamma ** rng.uniform(-1, 1)
        levels = 255 * (np.clip(levels, 0, 255) / 255) ** gamma
    if rng.random() < ranges.brightness_probability:
        levels = levels + rng.uniform(-ranges.max_brightness, ranges.max_brightness)
    if levels is unchanged:
        return image
    return cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _motion_blur(image: np.ndarray, rng: np.random.Generator, longest: int) -> np.ndarray:
    """Return the image blurred along a centred line, so that points do not move."""
    half = rng.uniform(0.5, max(0.5, longest / 2))
    angle = rng.uniform(0, np.pi)
    reach = int(np.ceil(half))
    step = np.array([np.cos(angle), np.sin(angle)]) * half * 256
    centre = np.array([reach, reach]) * 256
    start, end = ((centre + sign * step).astype(int).tolist() for sign in (-1, 1))
    mask = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    cv2.line(mask, start, end, 255, 1, cv2.LINE_AA, 8)
    kernel = mask + mask[::-1, ::-1].astype(np.float32)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def _sensor_noise(
    image: np.ndarray, rng: np.random.Generator, ranges: PhotometricRanges
) -> np.ndarray:
    """Return the image with noise of constant strength and noise proportional to brightness."""
    noise = 0.0
    if rng.random() < ranges.noise_probability:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        noise *= rng.uniform(0, ranges.max_noise)
    if rng.random() < ranges.speckle_probability:
        speckle = rng.standard_normal(image.shape, dtype=np.float32)
        speckle *= rng.uniform(0, ranges.max_speckle)
        noise = cv2.multiply(image, speckle, dtype=cv2.CV_32F) + noise
    if isinstance(noise, float):
        return image
    return cv2.add(image, noise, dtype=cv2.CV_8U)


def _salt_and_pepper(image: np.ndarray, rng: np.random.Generator, most: float) -> None:
    """Set up to a share `most` of the pixels, in place, to white or black."""
    count = round(rng.uniform(0, most) * image.size)
    places = rng.integers(0, image.size, count)
    image.reshape(-1)[places] = rng.integers(0, 2, count, dtype=np.uint8) * 255
