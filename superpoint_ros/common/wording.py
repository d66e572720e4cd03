# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Wording of messages to users."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

_SIMILAR = 0.8
"""Similarity of names by difflib: 'treshold' has 0.94, 'max_keypoint' 0.96, 'left.mask' 0.62."""


def plain_text(value: Any) -> str:
    """Return a value as parameter files have it: true or false, and numbers without exponent."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'{Decimal(str(value)):f}' if isinstance(value, float) else str(value)


def counted(number: int, singular: str, plural: str = '') -> str:
    """
    Return a number with its noun, such as '1 image' or '0 images'.

    `plural` is that of a noun to which it is not enough to add an s.
    """
    return f'{number} {singular if number == 1 else plural or singular + "s"}'


def counted_keypoints(images: int, keypoints: int, noun: str = 'image') -> str:
    """
    Return the number of images and their mean number of keypoints; `keypoints` is the sum.

    Such as '2 images, 300 keypoints each on average' or '1 image, 300 keypoints'.
    """
    mean = counted(round(keypoints / max(images, 1)), 'keypoint')
    return f'{counted(images, noun)}, {mean}' + (' each on average' if images != 1 else '')


def similar_name(unknown: str, names: Iterable[str]) -> str:
    """Return the name that resembles an unknown one most; empty if none does."""
    return next(iter(get_close_matches(unknown, list(names), 1, _SIMILAR)), '')
