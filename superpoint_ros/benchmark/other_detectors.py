# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Other detectors in the speed benchmark: those of OpenCV, and ONNX files on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sized
from pathlib import Path
import time

import cv2
import numpy as np

from superpoint_ros.benchmark.candidates import FrameTime
from superpoint_ros.detection.settings import DetectionSettings

_TYPES = {'tensor(float)': np.float32, 'tensor(uint8)': np.uint8}


class TimedMethod:
    """A detector of OpenCV for gray images, one of `METHODS` in any case, timed as a whole."""

    library = 'OpenCV'

    def __init__(self, name: str, keypoints: int):
        names = {known.lower(): known for known in METHODS}
        if name.lower() not in names:
            raise ValueError(f'unknown method {name!r}: choose from {", ".join(METHODS)}')
        self.name = names[name.lower()]
        self._find = METHODS[self.name](keypoints)

    def __call__(self, index: int, frame: np.ndarray) -> tuple[FrameTime, Sized]:
        """Return the time and the keypoints of a frame; it needs no preparation."""
        start = time.perf_counter()
        keypoints = self._find(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
        return FrameTime(time.perf_counter() - start, {}), keypoints


def _described(algorithm: cv2.Feature2D) -> Callable[[np.ndarray], Sized]:
    return lambda gray: algorithm.detectAndCompute(gray, None)[0]


def _shi_tomasi(count: int) -> Callable[[np.ndarray], Sized]:
    radius = DetectionSettings().nms_radius

    def find(gray: np.ndarray) -> Sized:
        corners = cv2.goodFeaturesToTrack(gray, count, qualityLevel=0.001, minDistance=radius)
        return () if corners is None else corners

    return find


METHODS = {
    'ORB': lambda count: _described(cv2.ORB_create(nfeatures=count)),
    # With OpenCV's default, 0.04, many photographs have fewer than 1,000 keypoints.
    'SIFT': lambda count: _described(cv2.SIFT_create(nfeatures=count, contrastThreshold=0.01)),
    # Versions of OpenCV before 4.10 cannot limit the number of its keypoints.
    'AKAZE': lambda count: _described(cv2.AKAZE_create()),
    'Shi-Tomasi': _shi_tomasi,
}
"""
Detectors of OpenCV: functions from the number of keypoints to a function of a gray image.

All but Shi-Tomasi also compute descriptors, in OpenCV's types.

Only times are measured here, so the methods run as in a program: OpenCV limits the number of
keypoints, and AKAZE has its default threshold. `evaluation.baselines`, which measures accuracy,
has lower thresholds, converts descriptors, and its benchmarks take the highest scores themselves.
"""


class TimedOnnx:
    """
    A detector in an ONNX file, timed as a whole, with the conversion of the frame.

    Its input with four dimensions takes an image (1, C, H, W), gray if C is 1, RGB if it is 3,
    float32 from 0 to 1 or uint8. If H and W are fixed, frames are resized. An input `threshold` is
    allowed if the metadata of the file have a value `threshold`, as those of `superpoint export`.
    Keypoints are the output `keypoints`, or the first one with two columns, (N, 2) or (1, N, 2).
    If there is an output `valid`, only keypoints for which it is true count.

    Raises ValueError that names the file and what is missing, ModuleNotFoundError without ONNX
    Runtime.
    """

    library = 'ONNX'

    def __init__(self, path: str | Path, threads: int = 0):
        import onnxruntime

        from superpoint_ros.engines.onnxruntime_engine import PROVIDER, session_options

        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f'there is no ONNX file {path}')
        try:
            self._session = onnxruntime.InferenceSession(
                path, session_options(threads), providers=[PROVIDER]
            )
        except Exception as error:
            raise ValueError(f'{path} cannot be loaded as ONNX: {error}') from error
        self.name = path.stem
        inputs = self._session.get_inputs()
        images = [each for each in inputs if len(each.shape) == 4 and each.type in _TYPES]
        if len(images) != 1 or images[0].shape[1] not in (1, 3):
            raise ValueError(
                f'{path} needs one input (1, C, H, W), float32 or uint8, where C is 1 or 3; its '
                f'inputs are {", ".join(f"{each.name} {each.shape}" for each in inputs)}'
            )
        [self._image] = images
        self._others = self._other_inputs(path)
        self._outputs = self._output_names(path)

    def _other_inputs(self, path: Path) -> dict[str, np.ndarray]:
        """Return the values of the inputs besides the image."""
        names = [each.name for each in self._session.get_inputs()]
        names.remove(self._image.name)
        if not names:
            return {}
        threshold = self._session.get_modelmeta().custom_metadata_map.get('threshold')
        if names != ['threshold'] or threshold is None:
            raise ValueError(
                f'{path} has the inputs {", ".join(names)} besides the image; only threshold is '
                'known, with a value in the metadata of the file'
            )
        return {'threshold': np.float32([float(threshold)])}

    def _output_names(self, path: Path) -> list[str]:
        """Return the name of the keypoints and, if there is one, of the mask of valid ones."""
        outputs = {each.name: each.shape for each in self._session.get_outputs()}
        pairs = [name for name, shape in outputs.items() if shape and shape[-1] == 2]
        if 'keypoints' not in outputs and not pairs:
            raise ValueError(
                f'{path} has no output keypoints, and none with two columns; its outputs are '
                f'{", ".join(f"{name} {shape}" for name, shape in outputs.items())}'
            )
        keypoints = 'keypoints' if 'keypoints' in outputs else pairs[0]
        return [keypoints, *(name for name in outputs if name == 'valid')]

    def __call__(self, index: int, frame: np.ndarray) -> tuple[FrameTime, np.ndarray]:
        """Return the time and the keypoints (N, 2) of a BGR frame, uint8 (H, W, 3)."""
        start = time.perf_counter()
        inputs = {**self._others, self._image.name: self._input(frame)}
        found = self._session.run(self._outputs, inputs)
        keypoints = found[0].reshape(-1, found[0].shape[-1])
        if len(found) > 1:
            keypoints = keypoints[found[1].reshape(-1).astype(bool)]
        return FrameTime(time.perf_counter() - start, {}), keypoints

    def _input(self, frame: np.ndarray) -> np.ndarray:
        """Return a BGR frame as the network takes it."""
        _, channels, height, width = self._image.shape
        if isinstance(height, int) and isinstance(width, int):
            frame = cv2.resize(frame, (width, height))
        code = cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_BGR2RGB
        converted = cv2.cvtColor(frame, code)
        pixels = converted[None, None] if channels == 1 else converted.transpose(2, 0, 1)[None]
        if _TYPES[self._image.type] is np.uint8:
            return np.ascontiguousarray(pixels)
        return np.ascontiguousarray(pixels, np.float32) / np.float32(255)
