# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Summaries of a node as `diagnostic_msgs/DiagnosticStatus` (REP 107).

OK means that frames are processed as they arrive, WARN that something outside of the node is wrong
or that the node is too slow, ERROR that inference fails.
"""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from superpoint_ros.detector import Detector
from superpoint_ros.ros.frame_statistics import Percentiles, Summary
from superpoint_ros.ros.messages.image_messages import CONVERSION

MAX_DROPPED = 0.5
"""Fraction of the frames above which dropped frames are a warning."""

MAX_LOST = 0.1
"""Fraction of the messages above which losses in the middleware are a warning."""

UNTRAINED = 'detector-only weights (MagicPoint): descriptors are untrained'


def input_status(
    name: str,
    hardware: str,
    summary: Summary,
    trouble: str = '',
    note: str = '',
    values: Mapping[str, object] | None = None,
    points: str = 'keypoints',
) -> DiagnosticStatus:
    """
    Return the status of an input topic.

    `trouble` is what is wrong, empty if nothing is. `note` is why nothing is received on purpose,
    empty otherwise. `values` are put before the values of the summary. `points` is what the points
    of a frame are called.
    """
    all_values = {**(values or {}), **_summary_values(summary, points)}
    status = DiagnosticStatus(name=name, hardware_id=hardware, values=_key_values(all_values))
    level, message = DiagnosticStatus.WARN, ''
    if trouble:
        message = trouble
    elif note:
        level, message = DiagnosticStatus.OK, note
    elif summary.lately_bad > 0:
        message = f'{summary.lately_bad:.0%} of the frames cannot be used'
        message += f': {summary.problem}' if summary.problem else ''
    elif summary.lately_lost > MAX_LOST:
        message = f'{summary.lately_lost:.0%} of the frames are lost before they arrive'
    elif summary.lately_dropped > MAX_DROPPED:
        message = f'{summary.lately_dropped:.0%} of the frames are dropped: they arrive too fast'
    else:
        level, message = DiagnosticStatus.OK, f'{summary.rate:.1f} frames per second'
    status.level, status.message = level, message
    return status


def network_status(
    name: str, detector: Detector | None, state: str, failures: int, error: str = ''
) -> DiagnosticStatus:
    """
    Return the status of the network.

    `state` is the node's lifecycle state, `failures` the number of failed inferences since the
    start, and `error` the last one, empty if inference works.
    """
    values = {'state': state, 'failures': failures, 'image conversion': CONVERSION}
    status = DiagnosticStatus(name=name, level=DiagnosticStatus.OK, message=state)
    if detector is not None:
        status.hardware_id = detector.device
        values |= {
            'device': detector.device,
            'engine': detector.engine.name,
            'precision': detector.engine.precision,
            'providers': ', '.join(getattr(detector.engine, 'providers', ())),
            'weights': detector.weights,
            'recipe': detector.metadata.recipe,
            'descriptor size': detector.descriptor_size,
        }
        if not detector.metadata.descriptors_trained:
            status.level, status.message = DiagnosticStatus.WARN, UNTRAINED
    if error:
        status.level = DiagnosticStatus.ERROR
        status.message = f'inference fails: {error}'
        values['last error'] = error
    status.values = _key_values(values)
    return status


def _summary_values(summary: Summary, points: str) -> dict[str, object]:
    values = {
        'rate in (Hz)': f'{summary.rate_in:.2f}',
        'rate out (Hz)': f'{summary.rate:.2f}',
        **_times('latency', summary.latency),
    }
    for stage, times in summary.stages.items():
        values |= _times(stage, times)
    values |= {
        points: summary.keypoints,
        'frames received': summary.received,
        'frames published': summary.published,
        'frames dropped': summary.dropped,
        'frames dropped lately (%)': f'{100 * summary.lately_dropped:.1f}',
        'frames lost': summary.lost,
        'frames lost lately (%)': f'{100 * summary.lately_lost:.1f}',
        'bad frames': sum(summary.bad_frames.values()),
    }
    for reason, count in sorted(summary.bad_frames.items()):
        values[f'bad frames: {reason}'] = count
    return values


def _times(name: str, times: Percentiles | None) -> dict[str, str]:
    """Return two values in milliseconds, 'unknown' if nothing was measured."""
    p50, p99 = (f'{1e3 * t:.2f}' for t in times) if times else ('unknown', 'unknown')
    return {f'{name} p50 (ms)': p50, f'{name} p99 (ms)': p99}


def status_values(status: DiagnosticStatus) -> dict[str, str]:
    """Return the values of a status by their keys."""
    return {pair.key: pair.value for pair in status.values}


def _key_values(values: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]
