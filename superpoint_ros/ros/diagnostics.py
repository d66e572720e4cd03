# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
How the node says that it is well (REP 107): summaries as `diagnostic_msgs/DiagnosticStatus`.

OK means that features are published as frames come, WARN that something outside of the node is
amiss or that it cannot follow, ERROR that it fails.
"""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from superpoint_ros.detector import Detector
from superpoint_ros.ros.frame_statistics import Percentiles, Summary

MOST_DROPPED = 0.5
"""Part of the frames above which their loss is worth a warning."""


def camera_status(
    name: str, hardware: str, summary: Summary, trouble: str = '', note: str = ''
) -> DiagnosticStatus:
    """
    Return what is to be told about a camera.

    `trouble` is why no frames come and empty where they do. `note` is said where all is well.
    """
    status = DiagnosticStatus(name=name, hardware_id=hardware, values=_camera_values(summary))
    level, message = DiagnosticStatus.OK, note or f'{summary.rate:.1f} frames a second'
    if trouble:
        level, message = DiagnosticStatus.WARN, trouble
    elif summary.lately_bad > 0:
        level = DiagnosticStatus.WARN
        message = f'{summary.lately_bad:.0%} of the frames cannot be read'
    elif summary.lately_dropped > MOST_DROPPED:
        level = DiagnosticStatus.WARN
        message = f'{summary.lately_dropped:.0%} of the frames are dropped: they come too fast'
    status.level, status.message = level, message
    return status


def network_status(
    name: str, detector: Detector | None, state: str, failures: int, error: str = ''
) -> DiagnosticStatus:
    """
    Return what is to be told about the network.

    `state` is the node's lifecycle state, `failures` counts since the start, and `error` is the
    last failure's, empty where inference works.
    """
    values = {'state': state, 'failures': str(failures)}
    status = DiagnosticStatus(name=name, level=DiagnosticStatus.OK, message=state)
    if detector is not None:
        status.hardware_id = detector.device
        values |= {
            'device': detector.device,
            'engine': detector.engine.name,
            'precision': detector.engine.precision,
            'weights': str(detector.weights),
            'recipe': detector.metadata.recipe,
            'descriptor size': str(detector.descriptor_size),
        }
        if not detector.metadata.descriptors_trained:
            status.level = DiagnosticStatus.WARN
            status.message = 'the weights are of a detector alone: its descriptors mean nothing'
    if error:
        status.level = DiagnosticStatus.ERROR
        status.message = f'inference fails: {error}'
        values['last error'] = error
    status.values = _key_values(values)
    return status


def _camera_values(summary: Summary) -> list[KeyValue]:
    values = {
        'rate in (Hz)': f'{summary.rate_in:.2f}',
        'rate out (Hz)': f'{summary.rate:.2f}',
        **_times('latency', summary.latency),
    }
    for stage, times in summary.stages.items():
        values |= _times(stage, times)
    values |= {
        'keypoints': str(summary.keypoints),
        'frames received': str(summary.received),
        'frames published': str(summary.published),
        'frames dropped': str(summary.dropped),
        'frames dropped lately (%)': f'{100 * summary.lately_dropped:.1f}',
        'bad frames': str(sum(summary.bad_frames.values())),
    }
    for reason, count in sorted(summary.bad_frames.items()):
        values[f'bad frames: {reason}'] = str(count)
    return _key_values(values)


def _times(name: str, times: Percentiles | None) -> dict[str, str]:
    """Return two values in milliseconds, 'unknown' where nothing was measured."""
    p50, p99 = (f'{1e3 * t:.2f}' for t in times) if times else ('unknown', 'unknown')
    return {f'{name} p50 (ms)': p50, f'{name} p99 (ms)': p99}


def _key_values(values: dict[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value) for key, value in values.items()]
