# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the package's libraries report with Python's `logging` is in the log of the node."""

import logging

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rclpy.logging import get_logger

from superpoint_ros.ros import node_log
from superpoint_ros.ros.node_log import forward_python_log, RosLogHandler, ThrottledWarnings


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
    library = logging.getLogger('superpoint_ros.common.compiled')
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


def test_warnings_are_throttled_unless_the_reason_changes(capfd, monkeypatch):
    now = 100.0
    monkeypatch.setattr(node_log.time, 'monotonic', lambda: now)
    warnings = ThrottledWarnings(get_logger('throttled'))

    def logged(*texts):
        for text in texts:
            warnings.warn(text)
        lines = capfd.readouterr().err.splitlines()
        return [line.partition('[throttled]: ')[2] for line in lines if '[throttled]' in line]

    assert logged('nothing', 'nothing', 'invalid', 'nothing', '3 bad') == [
        'nothing',
        'invalid',
        '3 bad',
    ]
    now += node_log.REPEAT - 1
    assert logged('nothing', 'invalid', '4 bad') == []
    now += 2
    assert logged('nothing', '5 bad', '6 bad') == ['nothing', '5 bad']
    assert len(logged(*(chr(ord('a') + index) for index in range(26)))) == 8
