# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The package's nodes as processes of their own, started and ended by another."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
import re
import signal
import subprocess
import sys

_STOP_TIMEOUT = 5.0
_BAD_INPUT = ' cannot start: '  # how `run_node` begins the error of its user
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Child:
    """
    One of the package's nodes in a process; what it writes goes to `folder/NAME.log`.

    `name` is the executable's. `parameters` are those of the node, as Python values.
    """

    def __init__(self, name: str, namespace: str, parameters: dict[str, object], folder: Path):
        self.name = name
        self.log = folder / f'{name}.log'
        # JSON's strings, numbers and booleans are YAML's, which ROS parses: "0" stays a string.
        pairs = [f'{key}:={json.dumps(value)}' for key, value in parameters.items()]
        self.command = [
            *(sys.executable, '-m', f'superpoint_ros.ros.{name}_main', '--ros-args'),
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
                preexec_fn=_end_with_parent,
            )

    def check(self) -> None:
        """
        Raise an error where the process has ended.

        It is a ValueError where the input was to blame, else a ChildProcessError.
        """
        status = self._process.poll() if self._process else None
        if status is None:
            return
        if _BAD_INPUT in self.tail():
            raise ValueError(self.tail())
        raise ChildProcessError(
            f'the {self.name} ended with status {status} (see {self.log}): {self.tail()}'
        )

    def tail(self) -> str:
        """Return the log's last errors, where there is none its last lines, as one line."""
        text = self.log.read_text(errors='replace') if self.log.is_file() else ''
        errors = re.findall(r'\[(?:ERROR|FATAL)\] \[[\d.]+\] \[[^]]*\]: (.*)', text)
        lines = errors or text.splitlines() or ['it said nothing']
        return ' '.join(lines[-3:])

    def memory(self) -> int:
        """Return the bytes of memory that the process holds, 0 where it does not run."""
        if self._process is None:
            return 0
        try:
            text = Path(f'/proc/{self._process.pid}/status').read_text()
        except OSError:
            return 0
        found = re.search(r'VmRSS:\s+(\d+) kB', text)
        return 1024 * int(found[1]) if found else 0

    def stop(self) -> int | None:
        """Return the status of the process, which has ended now; None where it never began."""
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
    """Have the system end this process with its parent, even where that one is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
