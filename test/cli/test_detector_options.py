# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How a network is run can be said on the command line of what runs one."""

from __future__ import annotations

import argparse

import pytest
import torch

from superpoint_ros.cli import evaluate
from superpoint_ros.cli.detector_options import (
    add_engine_arguments,
    add_settings_arguments,
    execution_of,
    make_detector,
)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def parse(*words):
    parser = argparse.ArgumentParser()
    add_engine_arguments(parser)
    add_settings_arguments(parser)
    return parser.parse_args(words)


def test_engine_precision_and_threads_are_those_asked_for(threads):
    words = ['--device=cpu', '--engine=torch', '--precision=bfloat16', '--threads=1']
    detector = make_detector(parse(*words, '--max-keypoints=7'))
    assert (detector.engine.name, detector.engine.precision) == ('torch', 'bfloat16')
    assert torch.get_num_threads() == 1
    assert detector.settings.max_keypoints == 7


def test_all_is_chosen_by_itself_unless_said():
    chosen = {'device': 'auto', 'engine': 'auto', 'precision': 'auto', 'threads': 0}
    assert execution_of(parse()) == chosen


@pytest.mark.parametrize('words', [['--threads=-1'], ['--threads=257']])
def test_threads_that_cannot_be_are_refused(words):
    with pytest.raises(ValueError, match='threads must lie between 0'):
        make_detector(parse(*words, '--device=cpu'))


@pytest.mark.parametrize('kind', ['shapes', 'homography', 'odometry'])
def test_weights_are_measured_in_float32_unless_said(kind):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    words = [kind, '--out=x'] + (['--data=x'] if kind == 'homography' else [])
    assert execution_of(parser.parse_args(words))['precision'] == 'float32'
    assert execution_of(parser.parse_args([*words, '--precision=int8']))['precision'] == 'int8'
