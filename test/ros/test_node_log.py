# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the package's libraries report with Python's `logging` is in the log of the node."""

import logging

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rclpy.logging import get_logger

from superpoint_ros.ros.node_log import forward_python_log, RosLogHandler


@pytest.fixture
def ours():
    """Return the logger of the package, which gets its handlers and level back."""
    logger = logging.getLogger('superpoint_ros')
    before = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = before[0]
    logger.setLevel(before[1])


def test_messages_have_their_severity_and_the_name_of_the_newest_node(ours, capfd):
    forward_python_log(get_logger('first'))
    forward_python_log(get_logger('second'))
    library = logging.getLogger('superpoint_ros.compiled')
    for log, text in ((library.info, 'a'), (library.warning, 'b'), (library.error, 'c')):
        log('%s happens', text)
    library.debug('not shown')
    lines = [line for line in capfd.readouterr().err.splitlines() if 'happens' in line]
    expected = [('INFO', 'a'), ('WARN', 'b'), ('ERROR', 'c')]
    assert len(lines) == len(expected)
    for line, (severity, text) in zip(lines, expected, strict=True):
        assert f'[{severity}]' in line
        assert line.endswith(f'[second]: {text} happens')
    assert sum(isinstance(handler, RosLogHandler) for handler in ours.handlers) == 1
