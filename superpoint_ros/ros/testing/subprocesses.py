# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The package's nodes as processes that another process starts, watches and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import ctypes
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor

from superpoint_ros.ros.run_node import error_line

NODES_MODULE = 'superpoint_ros.ros.run_node'
"""The module that runs the nodes of the package."""

START_TIMEOUT = 180.0
"""Seconds until a node must answer: a first start reads torch from a cold disk, and compiles."""

_RUN_MODULE = (
    'import sys; sys.path[:] = {}; from runpy import run_module; '
    "run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
"""Program that runs a module with the search path of this process. `python -m` would import from
the working folder first, such as a `queue.py` or another version of this package."""

_STOP_TIMEOUT = 10.0  # a node ends within two seconds, but the machine may be busy
_BAD_INPUT = ' cannot start: '  # how `run_node` begins the error of its user
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Looked up here: in a forked process, locks of the loader may belong to threads that it lacks.
_prctl = getattr(ctypes.CDLL(None), 'prctl', None)


class NodeProcess:
    """
    One of the package's nodes in a process; its output goes to `folder/NAME.log`.

    `name` is the executable's, which `module` runs. `parameters` are those of the node, as Python
    values.
    """

    def __init__(
        self,
        name: str,
        namespace: str,
        parameters: dict[str, object],
        folder: Path,
        module: str = NODES_MODULE,
    ):
        self.name = name
        self.log = folder / f'{name}.log'
        # JSON's strings, numbers and booleans are YAML's, which ROS parses: "0" stays a string.
        pairs = [f'{key}:={json.dumps(value)}' for key, value in parameters.items()]
        self.command = [
            *(sys.executable, '-c', _RUN_MODULE.format(sys.path), module, name, '--ros-args'),
            *('-r', f'__ns:={namespace}'),
            *(word for pair in pairs for word in ('-p', pair)),
        ]
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process."""
        with self.log.open('wb') as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent if _prctl else None,
            )

    def check(self, may_finish: bool = False) -> bool:
        """
        Return whether the process has ended with status 0, which is an error unless `may_finish`.

        Raises ValueError if it has ended because of bad input, ChildProcessError for other errors.
        """
        status = self._process.poll() if self._process else None
        if status is None:
            return False
        if status == 0 and may_finish:
            return True
        if _BAD_INPUT in self.last_lines():
            raise ValueError(self.last_lines())
        raise ChildProcessError(
            f'the {self.name} ended with status {status} (see {self.log}): {self.last_lines()}'
        )

    def last_lines(self) -> str:
        """Return the last errors of the log, or its last lines, as one line."""
        text = self.log.read_text(errors='replace') if self.log.is_file() else ''
        errors = re.findall(r'\[(?:ERROR|FATAL)\] \[[\d.]+\] \[[^]]*\]: (.*)', text)
        lines = errors or text.splitlines() or ['no output']
        return ' '.join(lines[-3:])

    def memory(self) -> int:
        """Return the resident memory of the process in bytes, 0 if it does not run."""
        found = re.search(r'VmRSS:\s+(\d+) kB', self._read_proc('status'))
        return 1024 * int(found[1]) if found else 0

    def processor_time(self) -> float:
        """Return the seconds of processor time of the process, 0 if it does not run."""
        user_and_system = self._read_proc('stat').rpartition(')')[2].split()[11:13]
        return sum(map(int, user_and_system)) / os.sysconf('SC_CLK_TCK')

    def _read_proc(self, name: str) -> str:
        """Return a file of the process below /proc; empty if it does not run."""
        try:
            return Path(f'/proc/{self._process.pid}/{name}').read_text() if self._process else ''
        except OSError:
            return ''

    def stop(self) -> int | None:
        """End the process and return its status; None if it was never started."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _end_with_parent() -> None:
    """Make the system end this process when its parent ends, even if that is killed."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def private_namespace(purpose: str) -> str:
    """Return a namespace for this process's nodes, and limit discovery to this machine."""
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    return f'/superpoint_{purpose}_{os.getpid()}'


@contextmanager
def ros_session(*processes: NodeProcess) -> Iterator[Executor]:
    """
    Initialize rclpy and give an executor; in the end stop the processes and shut rclpy down.

    SIGINT and SIGTERM shut rclpy down behind the block's back; its next call of rclpy then fails,
    with one of many errors. That raises KeyboardInterrupt. If rclpy cannot be initialized, for
    example because no folder for log files is known, ValueError is raised.
    """
    try:
        rclpy.init(args=[])
    except Exception as error:  # of a type that has no public name
        rclpy.try_shutdown()
        raise ValueError(f'ROS cannot be used: {error_line(error)}') from error
    executor = SingleThreadedExecutor()
    try:
        yield executor
    except Exception:
        if rclpy.ok():
            raise
        raise KeyboardInterrupt from None
    finally:
        for process in reversed(processes):
            process.stop()
        executor.shutdown(timeout_sec=1.0)
        rclpy.try_shutdown()


def wait_for(
    executor: Executor, processes: list[NodeProcess], condition: Callable[[], object]
) -> None:
    """
    Spin until the condition is true.

    Raises what `NodeProcess.check` raises, and ChildProcessError after `START_TIMEOUT` seconds.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        executor.spin_once(timeout_sec=0.1)
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            lines = '; '.join(f'{each.name}: {each.last_lines()}' for each in processes)
            raise ChildProcessError(f'nothing received within {START_TIMEOUT:g} s. {lines}')
