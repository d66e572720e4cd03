# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector node: images in, keypoints and descriptors out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.geometry.depth_settings import DepthSettings
from superpoint_ros.ros.detector.camera import Camera, Frames, process_frames
from superpoint_ros.ros.detector.depth_sources import make_depth_sources
from superpoint_ros.ros.detector.detector_parameters import (
    CameraSettings,
    declare_masks,
    DepthInput,
    DETECTOR_GROUPS,
    FeatureOutput,
)
from superpoint_ros.ros.detector.model_slot import ModelSlot
from superpoint_ros.ros.detector.worker import Worker
from superpoint_ros.ros.diagnostics import network_status, UNTRAINED
from superpoint_ros.ros.lifecycle_node import ProcessingNode
from superpoint_ros.ros.node_log import error_text, log_failure

STOP_TIMEOUT = 1.5
"""Seconds to wait for the current frame when the node ends."""

_REPEAT = 5.0  # least seconds between two logged failures


class DetectorNode(ProcessingNode):
    """
    Run the detector on the newest images of cameras and publish the features.

    The callbacks of images and parameters only store them, so that they return at once; a worker
    thread does the rest. `configure` loads the network and makes the topics, `activate` starts to
    receive images, `deactivate` waits for the worker, `cleanup` frees the network. All of these
    run in the executor's thread, `_process` and `_report` in the worker's. The constructor raises
    what `Detector.from_weights` and rclpy raise for unusable weights, device or parameters;
    `options` are those of `rclpy.node.Node`.
    """

    def __init__(self, **options):
        super().__init__('detector', DETECTOR_GROUPS, **options)

    def prepare(self) -> None:
        """Make the slot of the network and the worker."""
        cameras = self.parameters.of(CameraSettings)
        self._masks = declare_masks(self, cameras)
        self._slot = ModelSlot(self.parameters.of(ExecutionSettings))
        gather = cameras.sync_wait if len(cameras.names) > 1 else 0.0
        self._worker = Worker(self._process, self._report, gather)
        self._is_restoring_weights = False

    @property
    def detector(self) -> Detector | None:
        """Return the detector in use; None if the node is not configured."""
        return self._slot.detector

    def set_up(self) -> None:
        """Load the network and make the cameras' topics."""
        self._slot.load(self.parameters.of(ExecutionSettings).weights)
        settings, depth = self.parameters.of(CameraSettings), self.parameters.of(DepthInput)
        cameras = {
            name: Camera(self, name, settings, depth, self._masks[name], self._worker)
            for name in settings.names
        }
        self.inputs = [*cameras.values(), *make_depth_sources(self, cameras, depth)]
        self._log_network(self.detector)
        topics = Counter(camera.topic for camera in cameras.values())
        for name, camera in cameras.items():
            if topics[camera.topic] > 1:  # names in the diagnostics must be unique
                camera.suffix = f' ({name})'
            self.get_logger().info(
                f'images from {camera.topic}, features to {camera.features.topic_name}'
            )

    def tear_down(self) -> None:
        """Remove the cameras and free the network."""
        self.inputs = []
        self._slot.clear()

    def begin_work(self) -> None:
        """Start the worker."""
        self._worker.start()

    def end_work(self) -> bool:
        """Return whether the worker has ended, after waiting up to `STOP_TIMEOUT` seconds."""
        return self._worker.stop(STOP_TIMEOUT)

    def stop(self) -> bool:
        """Return whether all threads have ended, after waiting up to `STOP_TIMEOUT` seconds."""
        end = time.monotonic() + STOP_TIMEOUT
        has_ended = super().stop()
        return self._slot.stop(max(end - time.monotonic(), 0.0)) and has_ended

    def statuses(self) -> list[DiagnosticStatus]:
        """Return the status of the network and of each camera."""
        self._restore_weights()
        detector, error = self.detector, self._worker.error
        network = network_status(
            f'{self.get_fully_qualified_name().lstrip("/")}: network',
            detector,
            self.state,
            self._worker.failures,
            error_text(error) if error else '',
        )
        hardware = detector.device if detector else ''
        return [network, *(each.status(hardware) for each in self.inputs)]

    def _process(self, frames: Frames) -> int:
        """Return how many frames were processed; called in the worker's thread."""
        settings = self.parameters.current()  # read once: these values belong together
        return process_frames(
            frames,
            self._slot.detector,
            settings[DetectionSettings],
            settings[DepthSettings],
            settings[FeatureOutput],
        )

    def _report(self, error: Exception | None) -> None:
        """Log a failure of the network, or its recovery if `error` is None."""
        if error is None:
            self.get_logger().info('inference recovered')
            return
        self._slot.free_memory()
        what = f'inference failed ({self._worker.failures} so far)'
        log_failure(self.get_logger(), what, error, _REPEAT)

    def _log_network(self, detector: Detector) -> None:
        logger = self.get_logger()
        logger.info(
            f'weights {detector.weights} (descriptor size {detector.descriptor_size}), '
            f'device {detector.device}, engine {detector.engine.name}, '
            f'precision {detector.engine.precision}'
        )
        if not detector.metadata.descriptors_trained:
            logger.warning(UNTRAINED)

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Raise ValueError or OSError for a new weight file that cannot be used."""
        if 'weights' in values and not self._is_restoring_weights:
            self._slot.check(values['weights'])

    def apply_parameters(self, values: Mapping[str, Any]) -> None:
        """Change to a new weight file, which was checked, as soon as its network is ready."""
        if 'weights' in values and not self._is_restoring_weights:
            self._slot.replace(self._log_network)

    def _restore_weights(self) -> None:
        """Set the parameter to the weights in use, if new ones could not be run."""
        refusal = self._slot.take_refusal()
        if not refusal:
            return
        self.get_logger().error(refusal)
        self._is_restoring_weights = True
        self.set_parameters([Parameter('weights', value=self._slot.weights)])
        self._is_restoring_weights = False
