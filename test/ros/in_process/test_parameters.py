# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Groups of settings follow the parameters of a node, and change together or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import rclpy
from rclpy.exceptions import ParameterException, ParameterNotDeclaredException
from rclpy.parameter import Parameter

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.ros.parameters import declare, Parameters, warn_of_misspelt_names
from support.ros_domain import ros_domain


@dataclass(frozen=True)
class Search(SettingsGroup):
    """A live group with a rule that concerns two settings."""

    low: int = setting(1, 'Lower end.', unit='px', range=(0, 100))
    high: float = setting(5.0, 'Upper end.', range=(0.0, 100.0))

    RENAMED: ClassVar[dict[str, str]] = {'top': 'high'}

    def __post_init__(self):
        super().__post_init__()
        if self.low > self.high:
            raise ValueError('low must be at most high')


@dataclass(frozen=True)
class Output(SettingsGroup):
    """A group with a live and a fixed setting."""

    kind: str = setting('full', 'Kind of output.', choices=('full', 'short'))
    source: str | int = setting('', 'Path or number.', live=False)
    weights: list[float] = setting([1.0, 2.0], 'Weights.', live=False)


@pytest.fixture
def make_node():
    """Return a function that makes a node with values of parameters."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain(6))
    nodes = []

    def make(**values):
        overrides = [Parameter(name.replace('__', '.'), value=v) for name, v in values.items()]
        node = rclpy.create_node('settings', context=context, parameter_overrides=overrides)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()
    context.shutdown()


def change(node, **values):
    """Return the result of setting parameters together."""
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    return node.set_parameters_atomically(parameters)


def test_groups_have_the_values_of_files_and_command_line(make_node):
    parameters = Parameters(make_node(low=3, source=0, weights=[4.0]), (Search, Output))
    assert parameters.of(Search) == Search(low=3)
    assert parameters.of(Output) == Output(source=0, weights=[4.0])


def test_parameters_of_several_groups_change_together_or_not_at_all(make_node):
    node = make_node()
    parameters = Parameters(node, (Search, Output))
    before = parameters.current()
    for values, reason in (
        ({'kind': 'short', 'low': 50}, 'low must be at most high'),
        ({'kind': 'long', 'low': 2}, 'kind must be one of full, short'),
    ):
        result = change(node, **values)
        assert not result.successful
        assert reason in result.reason
        assert parameters.current() is before
    assert change(node, kind='short', low=50, high=60.0).successful
    assert parameters.of(Search) == Search(50, 60.0)
    assert parameters.of(Output).kind == 'short'
    assert before[Search] == Search()


def test_changes_are_logged_with_texts_in_quotes(make_node, capfd):
    node = make_node()
    parameters = Parameters(node, (Search, Output))
    assert change(node, kind='short', low=2).successful
    assert parameters.of(Search).low == 2
    assert "kind is now 'short', low is now 2" in capfd.readouterr().err


def test_a_node_can_refuse_values_and_is_notified_of_those_that_were_applied(make_node):
    node, applied = make_node(), []

    def check(values):
        if values.get('low') == 4:
            raise OSError('four cannot be read')

    parameters = Parameters(node, (Search,), check, applied.append)
    assert change(node, low=4).reason == 'four cannot be read'
    assert parameters.of(Search).low == 1
    assert change(node, low=2).successful
    assert applied == [{'low': 2}]


def test_setting_a_parameter_by_its_old_name_is_refused_with_the_new_one(make_node):
    node = make_node()
    Parameters(node, (Search,))
    with pytest.raises(ParameterNotDeclaredException, match='top, which was renamed: use high'):
        change(node, low=2, top=3.0)
    assert node.get_parameter('low').value == 1


@pytest.mark.parametrize(
    ('name', 'answer'),
    [('hgh', r'parameter\(s\): hgh; is high meant\?$'), ('other', r'parameter\(s\): other$')],
)
def test_setting_an_unknown_parameter_is_refused_with_its_name_and_a_similar_one(
    make_node, name, answer
):
    node = make_node()
    Parameters(node, (Search,))
    with pytest.raises(ParameterNotDeclaredException, match=answer):
        change(node, low=2, **{name: 3.0})
    assert node.get_parameter('low').value == 1


def test_a_fixed_parameter_cannot_be_changed(make_node):
    node = make_node()
    Parameters(node, (Output,))
    assert not change(node, source='other').successful
    assert node.get_parameter('source').value == ''


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'top': 3.0}, 'the parameter top was renamed: use high'),
        ({'kind': 'long'}, 'kind must be one of full, short'),
        ({'low': 200}, 'low'),
        ({'low': 'x'}, 'low'),
    ],
)
def test_a_wrong_value_at_the_start_is_named(make_node, values, message):
    with pytest.raises((ValueError, ParameterException), match=message):
        Parameters(make_node(**values), (Search, Output))


def test_a_whole_number_is_accepted_where_a_float_is_needed(make_node):
    node = make_node(high=7)
    parameters = Parameters(node, [Search])
    assert node.get_parameter('high').type_ == Parameter.Type.DOUBLE
    (result,) = node.set_parameters([Parameter('high', value=60)])
    assert result.successful
    assert repr(parameters.of(Search).high) == '60.0'
    assert Parameters(make_node(weights=[0, 3]), [Output]).of(Output).weights == [0.0, 3.0]
    (result,) = node.set_parameters([Parameter('low', value=2.0)])
    assert not result.successful
    with pytest.raises(ParameterException, match='expecting type'):
        Parameters(make_node(low=2.0), [Search])


def test_a_misspelt_name_in_a_parameter_file_is_named_with_the_right_one(make_node, capfd):
    node = make_node(hgh=3.0, left__mask='', threads=1, use_sim_time=True)
    Parameters(node, (Search, Output))
    warn_of_misspelt_names(node)
    warnings = [line for line in capfd.readouterr().err.splitlines() if 'unknown' in line]
    assert len(warnings) == 1
    assert warnings[0].endswith('the parameter hgh is unknown and is ignored: is high meant?')


def test_a_prefix_stands_before_the_names(make_node):
    assert declare(make_node(left__low=3), Search, 'left') == Search(low=3)
    with pytest.raises(ValueError, match=r'parameter left\.top was renamed: use left\.high'):
        declare(make_node(left__top=3.0), Search, 'left')
