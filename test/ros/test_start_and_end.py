# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector program logs why it cannot start, and ends cleanly at any time."""

from __future__ import annotations

import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed')

from superpoint_ros.ros.run_node import detector as main
from support.closed_folder import closed_folder
from support.node_processes import Program, START

DOMAIN = ros_domain(1)


@pytest.fixture
def own_domain(monkeypatch):
    """Let the program run in this process, and give back the signals that it takes."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(DOMAIN))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['-p', 'weights:={corrupt}'], 'is not a complete .safetensors file'),
        (
            ['-p', 'weights:={weights}', '-p', 'device:=cuda:99'],
            "device 'cuda:99' is not available",
        ),
        (['-p', 'weights:={weights}', '-p', 'precision:=int3'], 'precision must be one of auto'),
        (['-p', 'threshold:=7.0'], 'threshold out of range Min: 0.0, Max: 1.0, value: 7.0'),
        (['-p', 'nms_radius:=wide'], "'nms_radius' to 'wide' of type 'STRING', expecting type"),
        (['-p', 'descriptor_format:=int4'], "one of float32, int8; got 'int4'"),
        (
            ['-p', 'weights:={weights}', '-p', 'qos_overrides./image.subscription.reliability:=x'],
            'image.subscription.reliability must be one of system_default, reliable, best_effort',
        ),
        (['--params-file', 'nothing.yaml'], 'nothing.yaml'),
        (
            ['-p', 'mask:=/caf\udce9.png'],
            r'the argument mask:=/caf\xe9.png is not UTF-8',
        ),
    ],
)
def test_invalid_arguments_of_the_detector_are_named(
    own_domain, capfd, random_weights, tmp_path, arguments, said
):
    corrupt = tmp_path / 'corrupt.safetensors'
    corrupt.write_bytes(random_weights.read_bytes()[:1000])
    places = {'corrupt': corrupt, 'weights': random_weights}
    arguments = [argument.format(**places) for argument in arguments]
    assert main(['--ros-args', *arguments]) == 1
    (line,) = [line for line in capfd.readouterr().err.splitlines() if 'FATAL' in line]
    assert 'detector cannot start: ' in line
    assert said in line


def test_a_file_that_configures_logging_is_not_taken_for_a_missing_folder(start_detector):
    # In a process of its own: its logging can no longer be configured.
    detector = start_detector(DOMAIN, '--log-config-file', 'logging.yaml')
    detector.finish(1)
    (line,) = [line for line in detector.output.splitlines() if 'FATAL' in line]
    assert "doesn't currently support external configuration" in line
    assert 'ROS_LOG_DIR' not in line


@pytest.mark.parametrize('buffered', ['0', '1'])
def test_a_program_that_cannot_start_prints_one_line_and_fails(
    start_detector, monkeypatch, buffered
):
    for name in ('RCUTILS_LOGGING_USE_STDOUT', 'RCUTILS_LOGGING_BUFFERED_STREAM'):
        monkeypatch.setenv(name, buffered)
    detector = start_detector(DOMAIN, '-p', 'weights:=nothing.safetensors')
    detector.finish(1)
    (line,) = detector.output.splitlines()
    assert 'detector cannot start: there is no weight file nothing.safetensors' in line


def test_a_node_starts_in_a_working_directory_that_must_not_be_searched(tmp_path):
    # As that of root is for another user, whom sudo or a service has given the program.
    arguments = ['-m', 'superpoint_ros.ros.run_node', 'player']
    with closed_folder(tmp_path) as options:
        player = Program(arguments, DOMAIN, **options)
        try:
            player.wait_for("publishing the package's photographs")
            player.interrupt()
            player.finish()
        finally:
            player.end()


def test_a_node_works_with_closed_standard_streams(tmp_path):
    player = subprocess.Popen(
        [sys.executable, '-m', 'superpoint_ros.ros.run_node', 'player'],
        env={**os.environ, 'ROS_DOMAIN_ID': str(DOMAIN), 'ROS_LOG_DIR': str(tmp_path)},
        preexec_fn=lambda: [os.close(number) for number in range(3)],
    )
    try:
        end = time.monotonic() + START
        while not any('publishing' in log.read_text() for log in tmp_path.glob('*.log')):
            assert player.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)
        for number in range(3):
            assert Path(f'/proc/{player.pid}/fd/{number}').readlink() == Path(os.devnull)
        player.send_signal(signal.SIGINT)
        assert player.wait(START) == 0
    finally:
        player.kill()
        player.wait()


def test_a_crash_prints_where_each_thread_was():
    player = Program(['-m', 'superpoint_ros.ros.run_node', 'player'], DOMAIN)
    try:
        player.wait_for('publishing')
        time.sleep(0.5)  # the thread of the executor starts after this message
        player.interrupt(signal.SIGSEGV)  # as if a library had crashed
        player.finish(-signal.SIGSEGV)
    finally:
        player.end()
    assert 'Fatal Python error: Segmentation fault' in player.output
    assert 'in spin' in player.output


def test_an_empty_list_of_cameras_is_one_camera(start_detector, random_weights, tmp_path):
    file = tmp_path / 'parameters.yaml'
    file.write_text('/**:\n  ros__parameters:\n    cameras: []\n')
    for arguments in (('-p', 'cameras:=[]'), ('--params-file', str(file))):
        detector = start_detector(DOMAIN, '-p', f'weights:={random_weights}', *arguments)
        detector.wait_for('images from /image, features to /features')
        detector.interrupt()
        detector.finish()


@pytest.mark.parametrize('numbers', [[signal.SIGTERM], [signal.SIGINT] * 3])
def test_a_running_node_ends_within_two_seconds(start_detector, random_weights, numbers):
    detector = start_detector(DOMAIN, '-p', f'weights:={random_weights}')
    detector.wait_for('images from /image')
    for number in numbers:
        if detector.process.poll() is None:
            detector.interrupt(number)
        time.sleep(0.002)
    detector.finish(busy_limit=2)
    assert 'Traceback' not in detector.output


def catches(process, number):
    """Return whether a process has a handler of a signal, from Linux's table of processes."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    mask = int(re.search(r'SigCgt:\s+(\w+)', status)[1], 16)
    return bool(mask >> (number - 1) & 1)


@pytest.mark.parametrize('delay', [0.0, 0.5, 2.0])
def test_a_signal_during_the_start_ends_the_detector_cleanly(
    start_detector, random_weights, delay
):
    detector = start_detector(DOMAIN, '-p', f'weights:={random_weights}')
    end = time.monotonic() + START
    while not catches(detector.process, signal.SIGTERM):  # Python itself starts until then
        assert time.monotonic() < end
        time.sleep(0.005)
    time.sleep(delay)
    detector.interrupt()
    detector.finish()
    assert 'Traceback' not in detector.output


def test_an_overloaded_node_ends_within_two_seconds(
    start_detector, start_camera, start_observer, random_weights
):
    detector = start_detector(DOMAIN, '-p', f'weights:={random_weights}')
    observer, camera = start_observer(DOMAIN), start_camera(DOMAIN)
    detector.wait_for('images from /image')
    image = np.random.default_rng(0).integers(0, 256, (480, 640), dtype=np.uint8)
    with camera.flooding(image, 1000, count=200, period=0.005):
        observer.wait_until(lambda: len(observer.messages) > 2)
        detector.interrupt()
        detector.finish(busy_limit=2)
    assert 'ended' in detector.output
    assert 'Traceback' not in detector.output


def test_a_silent_image_topic_is_explained_and_its_end_is_logged(
    start_detector, start_camera, random_weights
):
    detector = start_detector(
        DOMAIN, '-p', f'weights:={random_weights}', '-r', 'image:=/front/image_raw'
    )
    detector.wait_for('images from /front/image_raw')
    camera = start_camera(DOMAIN)
    camera.claim_for_text('/front/image_raw')
    said = '/front/image_raw for 5 s: the topic has the type std_msgs/msg/String, not sensor_msgs'
    detector.wait_for(said)
    start_camera(DOMAIN).publish_until(
        lambda: 'receiving images on /front/image_raw' in detector.output,
        np.zeros((32, 32), np.uint8),
        1000,
        topic='/front/image_raw',
    )
    detector.interrupt(signal.SIGTERM)
    detector.finish()
    (line,) = [line for line in detector.output.splitlines() if 'frames published' in line]
    assert '/front/image_raw: ' in line
    assert re.search(r'dropped \d+ of [1-9]\d* received, lost \d+$', line)


WAITING = """
from superpoint_ros.ros.program_signals import Signals

signals = Signals()
signals.end_start()
print('waiting', flush=True)
signals.wait()
"""


def test_a_burst_of_signals_does_not_keep_the_program_from_ending():
    # Each may interrupt the handler of the one before.
    for _ in range(3):
        program = subprocess.Popen([sys.executable, '-c', WAITING], stdout=subprocess.PIPE)
        assert program.stdout.readline() == b'waiting\n'
        for number in (signal.SIGTERM, signal.SIGINT) * 200:
            if program.poll() is None:
                os.kill(program.pid, number)
        try:
            program.communicate(timeout=START)
        finally:
            program.kill()


IMPORTING = """
from superpoint_ros.ros.program_signals import Signals

signals = Signals()
signals.begin_start()
try:
    import signalled
    while True:
        pass
except KeyboardInterrupt:
    print(signalled.finished)
"""

SIGNALLED = """
import os
import signal

os.kill(os.getpid(), signal.SIGTERM)
finished = sum(range(100000)) > 0
"""


def test_a_signal_does_not_interrupt_an_import(tmp_path):
    # C++ code that imports, as of PyTorch, would end the process with an abort.
    (tmp_path / 'signalled.py').write_text(SIGNALLED)
    done = subprocess.run(
        [sys.executable, '-c', IMPORTING],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=START,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, 'True\n', '')
