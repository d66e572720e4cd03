# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Networks in int8: post-training quantisation with NNCF.

The ranges of the activations are calibrated with photographs. The result is cached as an OpenVINO
file named after the weights, so that each weight file is quantised once.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import hashlib
from importlib.util import find_spec
import io
import json
import logging
import os
from pathlib import Path
import shutil
import tempfile
import time

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.engines.openvino_engine import convert, native_bfloat16, openvino_core
from superpoint_ros.files import demo_photographs
from superpoint_ros.model.superpoint import CELL, fold_batch_norm, SuperPoint

CALIBRATION_IMAGES = 100
"""Number of calibration images; ranges hardly change with more."""

CALIBRATION_SIDE = 480
"""Longest side in pixels of calibration images; larger ones are reduced."""

EXACT_LAYERS = ('convPb', 'convDb')
"""Layers that are not quantised, the last ones of the heads: a few percent of the operations, and
the quality of int8 stays that of float32 (test_same_answers)."""

NARROW = 32
"""Layers with fewer channels are pooled before they are quantised."""

GRAY_LEVELS = 256
"""Number of values of a pixel, which int8 represents exactly."""

_NETWORK = 'network.xml'
_log = logging.getLogger(__name__)


def quantised_network(model: SuperPoint) -> ov.Model:
    """
    Return the network in int8, from the cache or quantised now with the shipped photographs.

    Raises ValueError if it is not in the cache and NNCF is not installed.
    """
    folder = folder_of(model)
    if not (folder / _NETWORK).is_file():
        if find_spec('nncf') is None:
            raise ValueError(
                'precision int8 needs NNCF, as these weights were not quantised before: '
                "pip install nncf, or use 'bfloat16' or 'float32'"
            )
        began = time.monotonic()
        keep(model, quantise(model, [read_image(path) for path in demo_photographs()]))
        _log.info('quantised the network in %.0f s: see %s', time.monotonic() - began, folder)
    network = openvino_core().read_model(folder / _NETWORK)
    if native_bfloat16():
        pool_narrow_layers_first(network)
    return network


def quantise(model: SuperPoint, images: Sequence[np.ndarray]) -> ov.Model:
    """
    Return the network in int8, with ranges calibrated with gray images, uint8 (H, W).

    `EXACT_LAYERS` are not quantised, and images are represented exactly. Raises ValueError if
    there is no image, and ModuleNotFoundError without NNCF.
    """
    if not images:
        raise ValueError('quantisation needs at least one image')
    import nncf

    batches = [_batch(image) for image in images]
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # hides its progress bars
        network = nncf.quantize(
            convert(model),
            nncf.Dataset(batches),
            # Symmetric ranges for weights, asymmetric ones for the outputs of ReLU.
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(patterns=[f'.*{name}.*' for name in EXACT_LAYERS]),
        )
    _take_all_gray_levels(network)
    return network


def _take_all_gray_levels(network: ov.Model) -> None:
    """
    Make the first layer represent all gray levels, from 0 to 1, exactly.

    A calibrated range ends below the brightest pixels, and its levels are not gray levels.
    """
    [first] = [node for node in network.get_ops() if node.get_friendly_name() == 'conv1a']
    quantiser = first.input_value(0).get_node()
    if quantiser.get_type_name() != 'FakeQuantize':
        raise ValueError('the first layer was not quantised: NNCF has changed')
    if quantiser.get_attributes()['levels'] != GRAY_LEVELS:
        raise ValueError(f'images were not quantised to {GRAY_LEVELS} levels: NNCF has changed')
    for place, end in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 1.0)):  # ends of input and output
        constant = ops.constant(np.full((1, 1, 1, 1), end, np.float32))
        quantiser.input(place).replace_source_output(constant.output(0))


def pool_narrow_layers_first(network: ov.Model) -> None:
    """
    Quantise the outputs of layers with few channels after pooling instead of before.

    OpenVINO pools int8 in blocks of 32 channels; with fewer it takes several times as long as in
    bfloat16. The result is the same except for rounding to bfloat16.
    """
    for pool in network.get_ordered_ops():
        if pool.get_type_name() != 'MaxPool':
            continue
        before = pool.input_value(0).get_node()
        channels = pool.get_output_partial_shape(0)[1].get_length()
        if before.get_type_name() != 'FakeQuantize' or channels >= NARROW:
            continue
        consumers = list(pool.output(0).get_target_inputs())
        pool.input(0).replace_source_output(before.input_value(0))
        ranges = [before.input_value(place) for place in range(1, 5)]
        after = ops.fake_quantize(pool.output(0), *ranges, before.get_attributes()['levels'])
        for consumer in consumers:
            consumer.replace_source_output(after.output(0))


def calibration_images(paths: Sequence[Path]) -> list[Path]:
    """Return `CALIBRATION_IMAGES` paths, evenly spaced, or all of them if there are fewer."""
    count = min(CALIBRATION_IMAGES, len(paths))
    return [paths[index] for index in np.linspace(0, len(paths) - 1, count).round().astype(int)]


def _batch(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W), resized to multiples of 8 pixels, as (1, 1, H, W)."""
    scale = min(1.0, CALIBRATION_SIDE / max(image.shape))
    size = [max(round(side * scale) // CELL, 2) * CELL for side in image.shape]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)[None, None]


def keep(model: SuperPoint, network: ov.Model) -> Path:
    """Write the quantised network of a model to the cache and return its folder."""
    folder = folder_of(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written to another folder and then renamed: other processes never read a part of it.
    aside = Path(tempfile.mkdtemp(prefix='new_', dir=folder.parent))
    ov.save_model(network, aside / _NETWORK, compress_to_fp16=False)
    old = Path(tempfile.mkdtemp(prefix='old_', dir=folder.parent))
    if folder.is_dir():
        folder.rename(old / folder.name)
    with contextlib.suppress(OSError):  # another process was first: its network is equivalent
        aside.rename(folder)
    shutil.rmtree(old)
    shutil.rmtree(aside, ignore_errors=True)
    return folder


def folder_of(model: SuperPoint) -> Path:
    """Return the cache folder of the quantised network of a model, which may not exist."""
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'superpoint_ros' / 'int8' / _fingerprint(model)


def _fingerprint(model: SuperPoint) -> str:
    """Return a name that is the same for the same configuration and weights."""
    if model.config.normalization == 'before_relu':
        model = fold_batch_norm(model)
    digest = hashlib.sha256(json.dumps(vars(model.config), sort_keys=True).encode())
    digest.update(' '.join(EXACT_LAYERS).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]
