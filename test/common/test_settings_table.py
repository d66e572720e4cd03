# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Groups of settings: what they accept, their error messages and their command-line options."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
import importlib
import math
from pathlib import Path
from typing import ClassVar, Literal

import pytest

import superpoint_ros
from superpoint_ros.cli.settings_options import add_options, given_options
from superpoint_ros.common.settings_table import make_settings, setting, SettingsGroup, table_of


@dataclass(frozen=True)
class Ranges(SettingsGroup):
    """A nested group."""

    rotation: float = setting(30.0, 'Largest rotation.', unit='deg', range=(0.0, 180.0))


@dataclass(frozen=True)
class Plan(SettingsGroup):
    """A group with a setting of each type."""

    radius: int = setting(3, 'Radius of the window.', unit='px', range=(0, 64))
    rate: float = setting(0.5, 'Share of the images.', above=0.0, below=1.0)
    steps: int = setting(10, 'Number of steps.', range=(1, None))
    exact: bool = setting(True, 'Refine the result.')
    mode: str = setting('fast', 'Kind of search.', choices=('fast', 'slow'))
    network: Literal['paper', 'compact'] = setting('paper', 'Network.')
    scales: tuple[float, ...] = setting((1.0,), 'Image scales.', range=(0.1, 4.0))
    size: tuple[int, int] = setting((640, 480), 'Width and height.', unit='px', range=(16, 8192))
    names: list[str] = setting(['left'], 'Names of the cameras.')
    sigma: float | None = setting(None, 'Standard deviation.', range=(0.01, 10.0))
    source: str | int = setting('', 'Path, or number of a camera.')
    ranges: Ranges = setting(Ranges(rotation=90.0), 'Random changes.')

    RENAMED: ClassVar[dict[str, str]] = {'old_radius': 'radius'}


@pytest.mark.parametrize(
    ('values', 'kind', 'message'),
    [
        ({'radius': 65}, ValueError, 'radius must lie between 0 and 64, got 65'),
        ({'radius': 10**400}, ValueError, 'radius must lie between 0 and 64, got 1000'),
        ({'radius': 3.0}, TypeError, 'radius must be a whole number from 0 to 64, got 3.0'),
        ({'radius': True}, TypeError, 'radius must be a whole number'),
        ({'rate': 1.0}, ValueError, 'rate must be greater than 0.0 and less than 1.0, got 1.0'),
        ({'rate': math.nan}, ValueError, 'rate must be greater than 0.0'),
        ({'rate': 10**400}, ValueError, 'rate must be greater than 0.0 and less than 1.0'),
        ({'steps': 'x'}, TypeError, "steps must be a whole number and at least 1, got 'x'"),
        ({'steps': 0}, ValueError, 'steps must be at least 1, got 0'),
        ({'steps': 10**400}, ValueError, 'steps must be finite and at least 1, got 1'),
        ({'exact': 1}, TypeError, 'exact must be true or false, got 1'),
        ({'mode': 'quick'}, ValueError, "mode must be one of fast, slow; got 'quick'"),
        ({'network': 'tiny'}, ValueError, "network must be one of paper, compact; got 'tiny'"),
        ({'scales': (1.0, 5.0)}, ValueError, 'scales must lie between 0.1 and 4.0, got '),
        ({'scales': 1.0}, TypeError, 'scales must be a list of numbers from 0.1 to 4.0, got 1.0'),
        ({'size': (640,)}, TypeError, 'size must be a list of 2 whole numbers'),
        ({'names': [1]}, TypeError, 'names must be a list of strings, got'),
        ({'source': 0.5}, TypeError, 'source must be a string or a whole number, got 0.5'),
        ({'ranges': 3}, TypeError, 'ranges must be a Ranges, got 3'),
        ({'sigma': 0.0}, ValueError, 'sigma must lie between 0.01 and 10.0, got 0.0'),
        ({'sigma': 'x'}, TypeError, 'sigma must be a number or none from 0.01'),
        ({'old_radius': 3}, TypeError, 'the setting old_radius was renamed: use radius'),
        ({'colour': 3}, TypeError, 'unknown setting colour: choose from radius, '),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(values, kind, message):
    with pytest.raises(kind) as caught:
        make_settings(Plan, values)
    assert message in str(caught.value)


PACKAGE = Path(superpoint_ros.__file__).parent


@pytest.mark.parametrize(
    'path',
    [path for path in sorted(PACKAGE.rglob('*.py')) if '(SettingsGroup' in path.read_text()],
    ids=lambda path: path.stem,
)
def test_every_group_of_settings_refuses_a_wrong_value_of_each(path):
    name = '.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts)
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(str(error))
    kinds = [each for each in vars(module).values() if isinstance(each, type)]
    groups = [
        each for each in kinds if issubclass(each, SettingsGroup) and each.__module__ == name
    ]
    assert groups
    for group in groups:
        for setting_name in table_of(group):
            with pytest.raises(TypeError, match=f'^{setting_name} must be '):
                group(**{setting_name: object()})


def test_defaults_that_can_be_changed_are_not_shared():
    Plan().names.append('right')
    assert Plan().names == ['left']


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('radius', '0 to 64 px'),
        ('rate', 'greater than 0.0 and less than 1.0'),
        ('steps', 'at least 1'),
        ('mode', 'fast, slow'),
        ('network', 'paper, compact'),
        ('exact', ''),
    ],
)
def test_the_allowed_values_are_given_in_words(name, words):
    assert table_of(Plan)[name].allowed == words


def parsed(line):
    parser = argparse.ArgumentParser(prog='try')
    scalars = [name for name in table_of(Plan) if name not in ('size', 'names', 'ranges')]
    add_options(parser, Plan, scalars)
    return make_settings(Plan, given_options(parser.parse_args(line.split()), Plan))


def test_every_setting_is_an_option():
    line = (
        '--radius 5 --rate 0.25 --steps 2 --no-exact --mode slow --network compact '
        '--source 0 --sigma 2 --scales 0.5 1'
    )
    assert parsed(line) == Plan(
        radius=5,
        rate=0.25,
        steps=2,
        exact=False,
        mode='slow',
        network='compact',
        sigma=2.0,
        source=0,
        scales=(0.5, 1.0),
    )
    assert parsed('--sigma none --source a') == Plan(source='a')
    assert parsed('') == Plan()


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('--radius 65', 'argument --radius: radius must lie between 0 and 64, got 65'),
        ('--radius wide', "radius must be a whole number from 0 to 64, got 'wide'"),
        ('--scales 1 5', 'argument --scales: scales must lie between 0.1 and 4.0, got 5.0'),
        ('--mode quick', "argument --mode: mode must be one of fast, slow; got 'quick'"),
        ('--old-radius 5', '--old-radius was renamed: use --radius'),
        ('--no-old-radius', '--no-old-radius was renamed: use --radius'),
    ],
)
def test_an_option_that_is_wrong_is_named_with_what_is_right(line, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parsed(line)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_the_help_of_an_option_has_text_range_unit_and_default():
    parser = argparse.ArgumentParser(prog='try')
    add_options(parser, Plan, names=('radius', 'mode'), defaults={'radius': 4})
    text = ' '.join(parser.format_help().split())
    assert '--radius PX Radius of the window. (0 to 64 px; default: 4)' in text
    assert '--mode {fast,slow} Kind of search. (default: fast)' in text
    assert '--steps' not in text
    assert 'old' not in text
