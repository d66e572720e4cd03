# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Running one node as a program that ends cleanly, whenever it is told to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import ctypes
import logging
import os
from queue import SimpleQueue
import signal
import sys
import threading
import traceback
from typing import Protocol, TYPE_CHECKING

from superpoint_ros.ros.dds_profiles import make_room_for_features

if TYPE_CHECKING:
    from rclpy.node import Node

_DONE = 0
_FAILED = 1


class StoppableNode(Protocol):
    """A node that is told to finish its work before it is destroyed."""

    def stop(self) -> bool:
        """Return whether the work has ended, within a second or two."""
        ...


def run_node(
    name: str, load: Callable[[], Callable[[], StoppableNode]], args: list[str] | None = None
) -> int:
    """
    Return the exit status of a program that spins one node until SIGINT or SIGTERM.

    `load` imports what is slow to import and returns the node's class. The status is 0 after a
    signal, however many come and whenever, and 1 where the node cannot start, with one line that
    says why (and a traceback at log level debug). `args` are the ROS arguments, by default those
    of the command line; then this is the program, whose process ends here.
    """
    if args is None:
        make_room_for_features()
    status = _run(name, load, args)
    if args is None:
        # Not by Python's own end: to be torn down, torch and OpenVINO take seconds on a busy
        # machine, and OpenVINO has crashed at that.
        _leave(status)
    return status


def _run(
    name: str, load: Callable[[], Callable[[], StoppableNode]], args: list[str] | None
) -> int:
    """Return the exit status after the node has ended and ROS has been left."""
    signals = _Signals()
    try:
        create = load()
        import rclpy
    except ImportError as error:
        logging.getLogger(name).critical('%s cannot start: %s', name, error)
        return _FAILED
    signals.begin_start()
    node = None
    try:
        # Our own handlers: with those of rclpy a second signal ends in a traceback.
        rclpy.init(args=args, signal_handler_options=rclpy.SignalHandlerOptions.NO)
        node = create()
        signals.end_start()
        return _spin(node, signals)
    except KeyboardInterrupt:  # a signal during the start
        return _DONE
    except Exception as error:  # noqa: BLE001 - whatever it was, the user gets one line
        logger = rclpy.logging.get_logger(name)
        logger.fatal(f'{name} cannot start: {_one_line(error)}')
        logger.debug(traceback.format_exc())
        return _FAILED
    finally:
        signals.end_start()
        _clean_up(node)


class _Signals:
    """
    What SIGINT and SIGTERM do, which depends on how far the program has come.

    While modules are imported nothing needs cleaning up, and an exception in the middle of an
    import would show: the process ends at once. While the node starts, KeyboardInterrupt ends the
    start. Later they end the main thread's `wait`.

    A handler may interrupt whatever the main thread does, another handler too. An event's lock
    would then wait for itself for ever; a SimpleQueue may be put into at any time.
    """

    def __init__(self):
        self._told: SimpleQueue[None] = SimpleQueue()
        self._act: Callable[[], None] = _leave
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: self._act())

    def begin_start(self) -> None:
        self._act = self._interrupt

    def end_start(self) -> None:
        self._act = self.stop

    def stop(self) -> None:
        """End `wait`, now or as soon as it is called."""
        self._told.put(None)

    def wait(self) -> None:
        """Wait for a signal, or for `stop`."""
        self._told.get()

    def _interrupt(self) -> None:
        self.end_start()  # a second signal finds the clean-up going on
        self.stop()  # where an exception goes unheard, as in a destructor, the work ends at once
        raise KeyboardInterrupt


def _leave(status: int = _DONE) -> None:
    """End the process at once, without a word."""
    with suppress(RuntimeError):  # of a handler that has interrupted a write
        sys.stderr.flush()
        sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)  # what ROS has logged
    os._exit(status)


def _spin(node: Node, signals: _Signals) -> int:
    """Return the exit status after the node has been told to stop, or a callback has failed."""
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    status = _DONE

    def spin() -> None:
        nonlocal status
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:  # noqa: BLE001 - reported; the main thread must hear of it
            node.get_logger().fatal(f'a callback failed: {_one_line(error)}')
            node.get_logger().error(traceback.format_exc())
            status = _FAILED
        finally:
            signals.stop()

    # Python runs signal handlers in the main thread, and not while that waits for messages.
    thread = threading.Thread(target=spin, name='executor', daemon=True)
    thread.start()
    signals.wait()
    executor.shutdown(timeout_sec=1.0)
    thread.join(1.0)
    return status


def _clean_up(node: StoppableNode | None) -> None:
    """Stop and destroy the node, and leave ROS."""
    import rclpy

    if node is not None:
        if not node.stop():
            # A thread is inside the network. Python would tear down under it what it uses.
            node.get_logger().warning('ended without waiting for the work to be finished')
            _leave()
        logger = node.get_logger()
        node.destroy_node()
        logger.info('ended')
    rclpy.try_shutdown()


def _one_line(error: Exception) -> str:
    """Return the error's text in one line; with its type, where users cannot be to blame."""
    text = ' '.join(str(error).split())
    user_errors = (ValueError, TypeError, OSError)
    from_ros = type(error).__module__.split('.')[0] == 'rclpy'
    if text and (isinstance(error, user_errors) or from_ros):
        return text
    return f'{type(error).__name__}: {text}'
