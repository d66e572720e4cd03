# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Candidates of the speed benchmark measure the same frames, in alternation."""

from importlib.util import find_spec
import time

import numpy as np
import pytest

from superpoint_ros.benchmark import candidates
from superpoint_ros.benchmark.candidates import (
    alternate,
    BASELINE,
    Execution,
    FRAME_STAGES,
    frames_of,
    FrameTime,
    make_candidate,
    NetworkSource,
    read_photographs,
    Stopwatch,
)
from superpoint_ros.features import Features
from superpoint_ros.model.config import PAPER

TORCH = Execution('torch')


@pytest.fixture(scope='module')
def frames():
    return frames_of(read_photographs()[:2], (320, 240))


@pytest.mark.parametrize('execution', [TORCH, Execution(BASELINE)])
def test_candidates_find_the_requested_number_of_keypoints_in_each_frame(tiny, frames, execution):
    candidate = make_candidate(execution, tiny.load(), keypoints=100, threads=1)
    candidate.prepare(frames)
    for index, frame in enumerate(frames):
        assert len(candidate(index, frame)[1]) == pytest.approx(100, abs=2)
    assert candidate.thresholds[0] != candidate.thresholds[1]


def test_stage_times_add_up_to_the_frame_time(tiny, frames):
    candidate = make_candidate(TORCH, tiny.load(), keypoints=100, threads=1)
    candidate.prepare(frames)
    shares = []
    for _ in range(10):
        start = time.perf_counter()
        times, _ = candidate(0, frames[0])
        elapsed = time.perf_counter() - start
        stages = {name: seconds for name, seconds in times.stages.items() if name != 'message'}
        assert set(stages) == set(FRAME_STAGES) - {'message'}
        assert sum(stages.values()) <= times.frame
        assert ('message' in times.stages) == (find_spec('sensor_msgs') is not None)
        assert sum(times.stages.values()) <= elapsed
        shares.append((sum(stages.values()) / times.frame, sum(times.stages.values()) / elapsed))
    # On a busy computer, a pause between two stages belongs to none of them.
    assert max(frame for frame, _ in shares) > 0.8
    assert max(call for _, call in shares) > 0.5


def test_stopwatch_adds_up_the_time_of_each_stage():
    watch = Stopwatch()
    long, short = watch.timed('long', time.sleep), watch.timed('short', time.sleep)
    for function, pause in ((long, 0.02), (short, 0.0), (long, 0.02)):
        function(pause)
    assert watch.seconds['long'] >= 0.04
    assert watch.seconds['short'] < watch.seconds['long']


def test_candidates_alternate_on_the_same_frame_and_the_warm_up_does_not_count(monkeypatch):
    monkeypatch.setattr(candidates, 'PAUSE', 0.0)
    calls = []

    def candidate(name):
        def look(index, frame):
            calls.append((name, index, frame))
            return FrameTime(float(len(calls)), {}), Features.empty(4)

        return look

    measured = alternate([candidate('a'), candidate('b')], [['x', 'y']] * 2, rounds=9, warm_up=1)
    turns = [calls[start : start + 2] for start in range(0, len(calls), 2)]
    for number, turn in enumerate(turns):
        frame = (0, 'x') if number % 2 else (1, 'y')
        assert sorted(turn) == [('a', *frame), ('b', *frame)]
    # The order is random: no candidate always comes first, nor every second time.
    assert {first for (first, *_), _ in turns[::2]} == {'a', 'b'}
    assert {first for (first, *_), _ in turns[1::2]} == {'a', 'b'}
    for name, own in zip('ab', measured, strict=True):
        counted = [number for number, call in enumerate(calls, 1) if call[0] == name][1:]
        assert own.seconds.tolist() == counted
        assert own.keypoints == 0


def test_network_source_is_a_configuration_with_random_weights_or_a_file(tiny):
    paper = NetworkSource('paper').load()
    assert paper.config == PAPER
    again = NetworkSource('paper').load()
    assert bool((paper.arrays['conv4b.weight'] == again.arrays['conv4b.weight']).all())
    assert tiny.load().config.descriptor_size == 16
    with pytest.raises(
        ValueError,
        match='unknown network huge: choose from paper, large, compact, small, nano, or give',
    ):
        NetworkSource('huge').load()


def test_frames_show_the_centre_of_photographs_without_distortion():
    photograph = np.zeros((100, 400, 3), np.uint8)
    photograph[:, 150:250] = 255
    [wide] = frames_of([photograph], (200, 50))
    assert wide.shape == (50, 200, 3)
    assert (wide[:, 80:120] == 255).all()
    assert (wide[:, :70] == 0).all()
    [square] = frames_of([photograph], (64, 64))
    assert (square == 255).all()


def test_photograph_folder_without_images_is_named_in_the_error(tmp_path):
    with pytest.raises(ValueError, match=f'{tmp_path} has no images'):
        read_photographs(tmp_path)
