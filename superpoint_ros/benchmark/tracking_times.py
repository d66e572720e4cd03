# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Times of stereo depths, tracker and odometry in the simulated room, relative to KLT."""

from __future__ import annotations

from collections.abc import Callable
import time

import cv2
import numpy as np

from superpoint_ros.benchmark.frame_times import percentiles, Progress
from superpoint_ros.benchmark.machine import use_threads
from superpoint_ros.data.sequences.sequence import Frame
from superpoint_ros.detector import Detector
from superpoint_ros.evaluation.front_ends import KLT_LEVELS, KLT_WINDOW
from superpoint_ros.features import Features
from superpoint_ros.geometry.stereo import stereo_depths, StereoCamera, warm_up_stereo
from superpoint_ros.odometry.map_refinement import DeferredExecutor, MapRefiner
from superpoint_ros.odometry.tracker import Tracker
from superpoint_ros.odometry.visual_odometry import VisualOdometry
from superpoint_ros.resources import demo_photographs
from superpoint_ros.simulation.room import SimulatedRoom

KLT = 'KLT (OpenCV)'
"""Name of the baseline: pyramidal Lucas-Kanade from frame to frame, and nothing else."""

_KEYFRAMES = 'odometry, keyframes'
_REFINEMENT = 'refinement of a keyframe (other thread)'

_RATE, _NOISE, _BASELINE = 10.0, 2.0, 0.12  # frames per second, gray levels, metres
_WARM_UP = 5  # frames that do not count: patches of the first ones are all new


def measure_tracking(frames: int, keypoints: int, progress: Progress) -> dict:
    """
    Return the measurements for JSON, on one thread: processor times in milliseconds.

    The wall times of such short steps would depend on the other programs of the machine.

    `frames` count, after a warm-up; each is processed by all candidates in turn. `keypoints` is
    the largest number of keypoints per frame, and `tracks` the mean number of tracks with images.
    A case has the name of the candidate, p50 and p99, and the median ratio to the time of KLT for
    as many points in the same frame. The refinement of a keyframe is done after its frame and
    applied in the next one, as in a thread that needs less than the time between two frames. The
    depths of the stereo pair are not used for the others.
    """
    use_threads(1)
    room = SimulatedRoom(
        demo_photographs(),
        seed=0,
        rate=_RATE,
        noise=_NOISE,
        count=frames + _WARM_UP,
        baseline=_BASELINE,
    )
    detector = Detector.from_weights(device='cpu', threads=1, max_keypoints=keypoints)
    candidates = _Candidates(room)
    times: list[dict[str, float]] = []
    progress(f'tracking in {frames} frames with {keypoints} keypoints')
    for frame in room:
        times.append(candidates.process(frame, *detector([frame.image, frame.second])))
    counted = times[_WARM_UP:]
    cases = []
    for name in dict.fromkeys(name for each in counted for name in each):
        having = [each for each in counted if name in each]
        seconds = np.array([each[name] for each in having])
        ratio = float(np.median(seconds / [each[KLT] for each in having]))
        cases.append({'name': name, 'time': percentiles(seconds), 'ratio': ratio})
    return {
        'frames': len(counted),
        'keypoints': keypoints,
        'tracks': float(np.mean(candidates.counts[_WARM_UP:])),
        'cases': cases,
    }


class _Candidates:
    """The trackers and the odometry that process the same frames; `counts` are of tracks."""

    def __init__(self, room: SimulatedRoom):
        Tracker.warm_up()
        VisualOdometry.warm_up()
        warm_up_stereo()
        self._stereo = StereoCamera(room.camera, float(room.camera.matrix[0, 0]), _BASELINE)
        self._plain, self._refining = Tracker(), Tracker()
        self._thread = DeferredExecutor()
        self._odometry = VisualOdometry(room.camera, refiner=MapRefiner(self._thread))
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self.counts: list[int] = []

    def process(self, frame: Frame, features: Features, right: Features) -> dict[str, float]:
        """
        Return the seconds of each candidate for the next frame; keyframes have two more.

        `features` are those of the frame's image, `right` those of its second one.
        """
        image, stamp = frame.image, frame.stamp
        times = {KLT: _seconds(lambda: self._klt(image))[0]}
        times['depths of a stereo pair'], _ = _seconds(
            lambda: stereo_depths(features, right, image, frame.second, self._stereo)
        )
        times['tracker without images'], _ = _seconds(
            lambda: self._plain.update(features, stamp, image.shape[::-1])
        )
        times['tracker with images'], tracks = _seconds(
            lambda: self._refining.update(features, stamp, None, image)
        )
        times['odometry'], _ = _seconds(lambda: self._odometry.update(tracks, stamp))
        refinement, is_keyframe = _seconds(self._thread.run)
        if is_keyframe:
            times |= {_KEYFRAMES: times['odometry'], _REFINEMENT: refinement}
        self.counts.append(len(tracks))
        self._before = image, tracks.keypoints
        return times

    def _klt(self, image: np.ndarray) -> None:
        """Track the points of the last frame with pyramidal Lucas-Kanade."""
        if self._before is not None and len(self._before[1]):
            before, points = self._before
            cv2.calcOpticalFlowPyrLK(
                before, image, points, None, winSize=KLT_WINDOW, maxLevel=KLT_LEVELS
            )


def _seconds(work: Callable[[], object]) -> tuple[float, object]:
    """Return the processor time of some work, and its result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result
