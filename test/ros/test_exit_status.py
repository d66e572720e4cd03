# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The exit status of a node's program is 0 after a signal and 1 after an earlier failure.

The nodes of these tests fail and send signals to their process at the worst moments, so that
nothing depends on time.
"""

from __future__ import annotations

from contextlib import suppress
import signal
import sys
import threading
import time
from types import ModuleType

import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed')

import rclpy
from rclpy.node import Node

from superpoint_ros.ros import program_signals, run_node


class InvalidHandleError(Exception):
    """An error such as rclpy raises if something was destroyed."""


class StubNode(Node):
    """A node that ends at once."""

    def __init__(self):
        super().__init__('stub')

    def stop(self):
        return True


class TimerNode(StubNode):
    """A node whose method `on_timer` is called a moment after its start."""

    def __init__(self):
        super().__init__()
        self.create_timer(0.001, self.on_timer)

    def on_timer(self):
        interrupt()


class RecordedSignals(program_signals.Signals):
    """Handlers of signals that a node of these tests can find."""

    current: RecordedSignals

    def __init__(self):
        super().__init__()
        RecordedSignals.current = self


def interrupt(number=signal.SIGTERM):
    """Send this process a signal, and return after its handler has run."""
    signal.raise_signal(number)
    while not RecordedSignals.current.has_received:  # the handler runs in the main thread
        time.sleep(0.001)


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs a class of nodes in this process and returns the status."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(ros_domain(1)))
    monkeypatch.setattr(run_node, 'Signals', RecordedSignals)
    monkeypatch.setattr(sys, 'unraisablehook', sys.unraisablehook)  # restored afterwards
    module = ModuleType('stub_nodes')
    monkeypatch.setitem(sys.modules, module.__name__, module)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run_kind(kind, arguments=('--ros-args', '--log-level', 'stub:=debug')):
        module.Stub = kind
        monkeypatch.setitem(run_node.NODES, 'stub', (module.__name__, 'Stub'))
        return run_node.run_node('stub', list(arguments))

    yield run_kind
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    rclpy.try_shutdown()


class StartFails(StubNode):
    def __init__(self):
        try:
            interrupt()
        except KeyboardInterrupt:
            raise InvalidHandleError('cannot use Destroyable') from None


class CallbackFails(TimerNode):
    def on_timer(self):
        interrupt()
        raise InvalidHandleError('cannot use Destroyable')


class EndFails(TimerNode):
    def stop(self):
        raise InvalidHandleError('cannot use Destroyable')


@pytest.mark.parametrize(
    ('kind', 'what'),
    [
        (StartFails, 'stub cannot start'),
        (CallbackFails, 'a callback failed'),
        (EndFails, 'stub did not end cleanly'),
    ],
)
def test_the_status_is_0_if_a_signal_surfaces_as_another_error(run, capfd, kind, what):
    assert run(kind) == 0
    output = capfd.readouterr().err
    assert 'FATAL' not in output
    assert f'after a signal: {what}: InvalidHandleError: cannot use Destroyable' in output


def test_the_status_is_0_if_the_start_swallows_the_signal(run):
    class Swallowing(StubNode):
        def __init__(self):
            try:
                interrupt()
            except KeyboardInterrupt:
                super().__init__()

    assert run(Swallowing) == 0


def test_a_start_that_swallows_the_signal_and_goes_on_is_ended(run, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(program_signals, 'exit_now', ended.set)
    monkeypatch.setattr(program_signals, '_START_LIMIT', 0.01)

    class Compiling(StubNode):
        def __init__(self):
            with suppress(KeyboardInterrupt):
                interrupt()
            ended.wait()
            super().__init__()

    assert run(Compiling) == 0


def test_a_signal_that_only_a_destructor_notices_is_not_printed(run, capfd):
    class Interrupted:
        def __del__(self):
            interrupt()

    class Destroying(StubNode):
        def __init__(self):
            Interrupted()
            super().__init__()

    assert run(Destroying) == 0
    assert 'KeyboardInterrupt' not in capfd.readouterr().err


def test_the_status_is_1_if_the_start_fails_before_a_signal(run, capfd):
    class LateError(Exception):
        def __str__(self):  # while the error is being reported
            interrupt()
            return 'no such device'

    class Failing(StubNode):
        def __init__(self):
            raise LateError

    assert run(Failing) == 1
    assert '[FATAL]' in capfd.readouterr().err


def test_the_status_is_1_if_a_callback_fails_before_a_signal(run, capfd):
    class Failing(TimerNode):
        def on_timer(self):
            raise InvalidHandleError('cannot use Destroyable')

        def stop(self):
            interrupt()
            return True

    assert run(Failing) == 1
    output = capfd.readouterr().err
    assert 'a callback failed: InvalidHandleError: cannot use Destroyable' in output
    assert 'in on_timer' in output  # where the defect is


def test_the_executor_is_shut_down_in_the_thread_that_spins(run, monkeypatch):
    from rclpy.executors import SingleThreadedExecutor

    threads = []
    shutdown = SingleThreadedExecutor.shutdown

    def record(self, *arguments, **options):
        threads.append(threading.current_thread().name)
        return shutdown(self, *arguments, **options)

    monkeypatch.setattr(SingleThreadedExecutor, 'shutdown', record)

    assert run(TimerNode) == 0
    assert threads == ['executor']


def test_arguments_that_ros_does_not_know_are_one_line(run, capfd):
    assert run(StubNode, ['--ros-args', 'foo', 'bar']) == 1
    line = "stub cannot start: unknown arguments after --ros-args: ['foo', 'bar']"
    assert line in capfd.readouterr().err


def test_arguments_that_nothing_reads_are_named(run, capfd):
    class Ending(StubNode):
        def __init__(self):
            super().__init__()
            interrupt()

    assert run(Ending, ['-p', 'threshold=0.1', '--ros-args', '-r', 'a:=b']) == 0
    assert (
        'ignored: -p threshold=0.1; arguments of ROS follow --ros-args' in capfd.readouterr().err
    )
    assert run(Ending, ['--ros-args', '-r', 'a:=b']) == 0
    assert 'ignored' not in capfd.readouterr().err


@pytest.mark.parametrize(
    ('name', 'namespace', 'is_meant'),
    [('stub', '/', True), ('stub', '/robot', False), ('other', '/', False), ('/**', '/r', True)],
)
def test_a_parameter_file_for_other_nodes_is_named(
    run, capfd, tmp_path, name, namespace, is_meant
):
    path = tmp_path / 'parameters.yaml'
    path.write_text(f'{name}:\n  ros__parameters:\n    threshold: 0.1\n')
    arguments = ['--ros-args', '--params-file', str(path), '-r', f'__ns:={namespace}']
    assert run(TimerNode, arguments) == 0
    output = capfd.readouterr().err
    said = f'the parameter file {path} has no effect: it has parameters of /{name.strip("/")}, but'
    assert output.count(said) == (not is_meant)
