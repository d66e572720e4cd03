# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector node: images in, keypoints and descriptors out."""

from __future__ import annotations

from collections.abc import Mapping
import time
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.ros.detector.camera import Camera, Frame
from superpoint_ros.ros.detector.detector_parameters import (
    CameraSettings,
    declare_masks,
    DETECTOR_GROUPS,
    FeatureOutput,
)
from superpoint_ros.ros.detector.model_slot import NetworkSlot
from superpoint_ros.ros.detector.worker import Batch, Worker
from superpoint_ros.ros.diagnostics import network_status
from superpoint_ros.ros.lifecycle_node import ManagedNode
from superpoint_ros.ros.messages.cv_bridge_conversion import CvBridgeConversion
from superpoint_ros.ros.parameters import LifecycleSettings, Parameters
from superpoint_ros.ros.throttle import Throttle

STOP_TIMEOUT = 1.5
"""Seconds to wait for the frame in work when the node ends."""

_REPEAT = 5.0

Result = TransitionCallbackReturn


class DetectorNode(ManagedNode):
    """
    Run the detector on the newest images of cameras and publish the features.

    It is a managed node: `configure` loads the network and offers the topics, `activate` lets
    images in, `deactivate` lets none in, `cleanup` frees the network. With the parameter
    `autostart` the constructor does the first two.

    The executor's callbacks only store images and settings, so that they always answer at once;
    one thread does the rest. The constructor raises what `Detector.from_weights` and rclpy raise
    where weights, device or parameters cannot be used; `options` are those of `rclpy.node.Node`.
    Whoever makes the node calls `stop` before `destroy_node`.
    """

    def __init__(self, **options):
        super().__init__('detector', **options)
        self._throttle = Throttle(_REPEAT)
        self._cameras: dict[str, Camera] = {}
        self._worker: Worker | None = None
        self._constructing = True
        self._error = ''
        self._failures = 0
        self._refusal = ''
        self._transition_error: Exception | None = None
        self._conversion = CvBridgeConversion(self.get_logger().debug)
        try:
            self.parameters = Parameters(
                self, DETECTOR_GROUPS, check=self._check_weights, applied=self._use_weights
            )
            self._masks = declare_masks(self, self.parameters.of(CameraSettings))
            execution = self.parameters.of(ExecutionSettings)
            self._network = NetworkSlot(
                execution.device, execution.precision, execution.engine, execution.threads
            )
            self._conversion.start()
            self._weights = self._weights_in_use = execution.weights
            self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
            clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
            self.create_timer(1.0, self._watch, clock=clock)
            if self.parameters.of(LifecycleSettings).autostart:
                self._start_by_itself()
        except BaseException:
            self._conversion.stop()
            self._end_work()
            self.destroy_node()
            raise
        self._constructing = False

    @property
    def detector(self) -> Detector | None:
        """Return the detector in use, None where the node is not configured."""
        return self._network.detector

    def _start_by_itself(self) -> None:
        """Configure and activate; raise what keeps the node from it."""
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != Result.SUCCESS:
                raise self._transition_error or RuntimeError('the node could not be activated')

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network and offer the topics."""
        try:
            self._network.load(self._weights)
            self._cameras = {}
            settings = self.parameters.of(CameraSettings)
            for name in settings.names:
                self._cameras[name] = Camera(
                    self, name, settings, self._masks[name], self._store, self._conversion.gray
                )
        except Exception as error:  # noqa: BLE001 - a manager must hear of any, and the log why
            self._release()
            return self._refuse('configured', error)
        self._weights_in_use = self._weights
        self._introduce()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let images in."""
        if not self._end_work():
            return self._refuse('activated', RuntimeError('the last frame is still in work'))
        self._error = ''
        sync_wait = self.parameters.of(CameraSettings).sync_wait
        gather = sync_wait if len(self._cameras) > 1 else 0.0
        self._worker = Worker(self._process, self._report, 'inference', gather)
        self._worker.start()
        try:
            for camera in self._cameras.values():
                camera.start()
        except Exception as error:  # noqa: BLE001 - as above
            self.on_deactivate(state)
            return self._refuse('activated', error)
        return super().on_activate(state)

    def _refuse(self, what: str, error: Exception) -> TransitionCallbackReturn:
        """Tell why a transition failed: the constructor's caller, else the log."""
        self._transition_error = error
        if not self._constructing:
            self.get_logger().error(f'the node cannot be {what}: {error}')
        return Result.FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let no more images in, and wait for the frame in work."""
        for camera in self._cameras.values():
            camera.stop()
        self._end_work()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the network and remove the topics."""
        return super().on_cleanup(state) if self._release() else Result.FAILURE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all work."""
        return super().on_shutdown(state) if self._release() else Result.FAILURE

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to the beginning, from where the node can be configured again."""
        return Result.SUCCESS if self._release() else Result.FAILURE

    def _release(self) -> bool:
        """Return whether nothing of what was configured is left; a frame in work may keep it."""
        for camera in self._cameras.values():
            camera.stop()
        if not self._end_work():
            self.get_logger().error('the frame in work does not end')
            return False
        for camera in self._cameras.values():
            camera.destroy()
        self._cameras = {}
        self._network.clear()
        return True

    def _end_work(self) -> bool:
        """Return whether no frame is in work any more."""
        if self._worker is not None and self._worker.stop(STOP_TIMEOUT):
            self._failures += self._worker.failures
            self._worker = None
        return self._worker is None

    def stop(self) -> bool:
        """Return whether the work has ended, for which this waits `STOP_TIMEOUT` seconds."""
        self._conversion.stop()
        end = time.monotonic() + STOP_TIMEOUT
        ended = self._end_work()
        ended = self._network.stop(max(end - time.monotonic(), 0.0)) and ended
        now = time.monotonic()
        for camera in self._cameras.values():
            summary = camera.statistics.summary(now)
            self.get_logger().info(f'{camera.image_topic}: {summary}')
        return ended

    def _introduce(self) -> None:
        """Log once what the node works with."""
        self._introduce_network()
        for camera in self._cameras.values():
            self.get_logger().info(
                f'images from {camera.image_topic}, features to {camera.features_topic}'
            )

    def _introduce_network(self) -> None:
        detector, logger = self.detector, self.get_logger()
        if detector is None:
            return
        logger.info(
            f'weights {detector.weights} ({detector.metadata.recipe or "recipe unknown"}, '
            f'descriptors of {detector.descriptor_size}), device {detector.device}, '
            f'engine {detector.engine.name}, precision {detector.engine.precision}'
        )
        if not detector.metadata.descriptors_trained:
            logger.warning('these weights are of a detector alone: its descriptors mean nothing')

    def _store(self, camera: str, frame: Frame) -> bool:
        """Return whether the frame, which waits for work now, overtook another."""
        worker, stamp = self._worker, frame.message.header.stamp
        return worker is not None and worker.put(camera, frame, (stamp.sec, stamp.nanosec))

    def _process(self, batch: Batch) -> None:
        """Publish the features of the newest images; runs in the worker's thread."""
        # Read once: what holds for this batch.
        settings, detector = self.parameters.current(), self._network.detector
        work = []
        for name, frame in batch:
            start = time.perf_counter()
            waiting = time.monotonic() - frame.arrival
            read = self._cameras[name].read(frame)
            if read is not None:
                stages = {'waiting': waiting, 'conversion': time.perf_counter() - start}
                work.append((self._cameras[name], frame, *read, stages))
        if not work:
            return
        start = time.perf_counter()
        grays, masks = ([item[index] for item in work] for index in (2, 3))
        found = detector(grays, masks, settings[DetectionSettings])
        elapsed = time.perf_counter() - start
        self._recovered()
        for (camera, frame, gray, _, stages), features in zip(work, found, strict=True):
            stages['inference'] = elapsed
            camera.publish(frame, gray, features, settings[FeatureOutput], stages)

    def _recovered(self) -> None:
        if self._error:
            self._error = ''
            self.get_logger().info('inference works again')

    def _report(self, error: Exception) -> None:
        """Log that a batch failed; the node goes on with the next."""
        self._error = f'{type(error).__name__}: {" ".join(str(error).split())}'
        self._network.free_memory()
        if self._throttle.ready('failure'):
            logger = self.get_logger()
            logger.error(
                f'a frame failed, the node goes on ({self._failure_count()} so far): {self._error}'
            )
            logger.debug(''.join(traceback.format_exception(error)))

    def _failure_count(self) -> int:
        worker = self._worker
        return self._failures + (worker.failures if worker else 0)

    def _check_weights(self, values: Mapping[str, Any]) -> None:
        """Raise ValueError or OSError if a new weight file cannot be used."""
        if 'weights' in values and not self._refusal:
            self._network.check(values['weights'])

    def _use_weights(self, values: Mapping[str, Any]) -> None:
        """Change to a new weight file, which was checked, as soon as its network is ready."""
        if 'weights' not in values:
            return
        self._weights = weights = values['weights']
        if self.detector is None or self._refusal:
            return

        def done() -> None:
            self._weights_in_use = weights
            self._introduce_network()

        def failed(error: Exception) -> None:
            self._refusal = f'the weights {weights} cannot be run: {error}'

        self._network.replace(weights, done, failed)

    def _take_back_weights(self) -> None:
        """Have the parameter tell the weights in use, where new ones could not be run."""
        if self._refusal:
            self.get_logger().error(self._refusal)
            self.set_parameters([Parameter('weights', value=self._weights_in_use)])
            self._refusal = ''

    def _watch(self) -> None:
        """Look after the cameras and publish the diagnostics."""
        self._take_back_weights()
        for camera in self._cameras.values():
            camera.watch()
        name = f'{self.get_fully_qualified_name().lstrip("/")}: network'
        detector = self.detector
        status = network_status(name, detector, self.state, self._failure_count(), self._error)
        hardware = detector.device if detector else ''
        cameras = [camera.status(hardware) for camera in self._cameras.values()]
        message = DiagnosticArray(status=[status, *cameras])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
