# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The node under a lifecycle manager: the real services, from another node."""

from __future__ import annotations

import threading

from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState
import pytest

from superpoint_ros.ros.detector import detector_node
from superpoint_ros.ros.topics import input_topic


class Manager:
    """What a lifecycle manager does: it calls the node's services."""

    def __init__(self, system):
        self.call = system.call

    def change(self, transition=0, label=''):
        request = ChangeState.Request(transition=Transition(id=transition, label=label))
        return self.call(ChangeState, '/detector/change_state', request).success

    @property
    def state(self):
        return self.call(GetState, '/detector/get_state', GetState.Request()).current_state.id


@pytest.fixture
def start_managed(start_inside):
    def start(**parameters):
        system = start_inside(autostart=False, **parameters)
        return system, Manager(system)

    return start


def test_a_manager_leads_the_node_through_its_states(start_managed, image):
    system, manager = start_managed()
    observer = system.observer
    assert manager.state == State.PRIMARY_STATE_UNCONFIGURED
    assert system.node.detector is None
    assert observer.count_subscribers('/image') == 0

    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.state == State.PRIMARY_STATE_INACTIVE
    assert system.node.detector is not None
    system.wait_until(lambda: observer.count_publishers('/features') == 1)
    assert observer.count_subscribers('/image') == 0

    assert manager.change(Transition.TRANSITION_ACTIVATE)
    assert manager.state == State.PRIMARY_STATE_ACTIVE
    assert system.answers(image).width > 20

    assert manager.change(Transition.TRANSITION_DEACTIVATE)
    system.wait_until(lambda: observer.count_subscribers('/image') == 0)
    image.header.frame_id = 'while inactive'
    system.publish(image, 'image')
    system.rest(0.3)
    assert system.answers_to(image) == []
    assert system.status('/image')[1] == 'not active'

    assert manager.change(Transition.TRANSITION_ACTIVATE)
    assert system.answers(image).width > 20
    assert manager.change(Transition.TRANSITION_DEACTIVATE)
    assert manager.change(Transition.TRANSITION_CLEANUP)
    assert manager.state == State.PRIMARY_STATE_UNCONFIGURED
    assert system.node.detector is None
    system.wait_until(lambda: observer.count_publishers('/features') == 0)

    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.change(Transition.TRANSITION_ACTIVATE)
    assert system.answers(image).width > 20
    assert manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert manager.state == State.PRIMARY_STATE_FINALIZED
    assert system.node.detector is None


def test_a_transition_that_fails_is_explained_and_can_be_repeated(
    start_managed, random_weights, capfd, tmp_path
):
    weights = tmp_path / 'coming.safetensors'
    _system, manager = start_managed(weights=str(weights))
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    assert f'cannot be configured: there is no weight file {weights}' in capfd.readouterr().err
    assert manager.state == State.PRIMARY_STATE_UNCONFIGURED
    weights.write_bytes(random_weights.read_bytes())
    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.state == State.PRIMARY_STATE_INACTIVE


def test_weights_that_are_set_before_are_those_that_are_configured(
    start_managed, random_weights, tmp_path
):
    system, manager = start_managed(weights='')
    other = tmp_path / 'other.safetensors'
    other.write_bytes(random_weights.read_bytes())
    assert system.set_parameters(weights=str(other)).successful
    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert system.node.detector.weights == other


def test_an_impossible_transition_is_refused_and_the_node_continues(start_inside, image):
    system = start_inside()
    manager = Manager(system)
    for transition in (
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_CLEANUP,
        250,
    ):
        assert not manager.change(transition)
    assert manager.state == State.PRIMARY_STATE_ACTIVE
    assert system.answers(image).width > 20


def test_a_transition_after_the_shutdown_is_refused_with_the_remedy(start_managed, capfd):
    _system, manager = start_managed()
    assert not manager.change(Transition.TRANSITION_ACTIVATE)
    said = 'the transition 3 is not possible: the node is unconfigured; possible are configure, sh'
    assert said in capfd.readouterr().err
    assert manager.change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    said = 'the transition 1 is not possible: the node is finalized; end the program and start it'
    assert said in capfd.readouterr().err


STARTUP = [
    (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
]
PAUSE = [(Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE)]
RESUME = [(Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE)]
RESET = [*PAUSE, (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED)]
SHUTDOWN = [
    *RESET,
    (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, State.PRIMARY_STATE_FINALIZED),
]


def test_the_commands_of_nav2s_lifecycle_manager_lead_the_node(start_managed, image):
    # nav2_lifecycle_manager: each transition by its number, after each the state is asked for.
    system, manager = start_managed()
    for command in (STARTUP, PAUSE, RESUME, RESET, STARTUP, SHUTDOWN):
        for transition, state in command:
            assert manager.change(transition)
            assert manager.state == state
        if state == State.PRIMARY_STATE_ACTIVE:
            assert system.answers(image).width > 20


def test_transitions_are_published_and_can_be_requested_by_label(start_managed):
    system, manager = start_managed()
    events = []
    system.observer.create_subscription(
        TransitionEvent, '/detector/transition_event', events.append, 10
    )
    system.wait_until(lambda: system.observer.count_publishers('/detector/transition_event') > 0)
    system.rest(0.5)
    service, request = '/detector/get_available_transitions', GetAvailableTransitions.Request()
    response = system.call(GetAvailableTransitions, service, request)
    offered = {each.transition.label for each in response.available_transitions}
    assert offered == {'configure', 'shutdown'}
    assert manager.change(label='configure')
    system.wait_until(lambda: events and events[-1].goal_state.label == 'inactive')


def test_deactivation_is_not_reported_as_reception(start_managed, monkeypatch, wait_for_log):
    monkeypatch.setattr(input_topic, 'WATCHDOG_TIMEOUT', 0.5)
    system, manager = start_managed()
    manager.change(Transition.TRANSITION_CONFIGURE)
    manager.change(Transition.TRANSITION_ACTIVATE)
    wait_for_log(system, 'no images on /image')
    manager.change(Transition.TRANSITION_DEACTIVATE)
    system.rest(1.5)
    assert 'receiving images' not in wait_for_log(system, '')


def test_a_shutdown_that_fails_frees_the_network_after_the_frame_in_work(
    start_managed, image, monkeypatch
):
    is_working, may_end = threading.Event(), threading.Event()

    def work(*arguments):
        is_working.set()
        may_end.wait()
        return 0

    monkeypatch.setattr(detector_node, 'process_frames', work)
    monkeypatch.setattr(detector_node, 'STOP_TIMEOUT', 0.1)
    system, manager = start_managed()
    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.change(Transition.TRANSITION_ACTIVATE)
    try:
        system.wait_until(lambda: system.publish(image, 'image') or is_working.is_set())
        assert not manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert manager.state == State.PRIMARY_STATE_FINALIZED
        system.rest(2)
        assert system.node.detector is not None
    finally:
        may_end.set()
    system.wait_until(lambda: system.node.detector is None)
    system.wait_until(lambda: system.observer.count_publishers('/features') == 0)
