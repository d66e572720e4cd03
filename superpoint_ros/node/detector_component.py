"""The detector node: images in, keypoints and descriptors out."""

from __future__ import annotations

import time
import traceback

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from superpoint_ros.detector import Detector
from superpoint_ros.node import parameters
from superpoint_ros.node.camera import Camera
from superpoint_ros.node.throttle import Throttle
from superpoint_ros.node.worker import Batch, Worker

STOP_TIMEOUT = 1.5
"""Seconds to wait for the frame in work when the node ends."""

_REPEAT = 5.0


class DetectorNode(Node):
    """
    Run the detector on the newest image of a camera and publish the features.

    The executor's callbacks only store images and settings, so that they always answer at once;
    one thread does the rest. The constructor raises what `Detector.from_weights` and rclpy raise
    where weights, device or parameters cannot be used; `options` are those of `rclpy.node.Node`.
    Whoever makes the node calls `stop` before `destroy_node`.
    """

    def __init__(self, **options):
        super().__init__('detector', **options)
        self._throttle = Throttle(_REPEAT)
        values = parameters.declare(self)
        settings = parameters.LiveSettings().changed(values)
        self._detector = Detector.from_weights(
            values['weights'],
            values['device'],
            values['precision'],
            **vars(settings.detection),
        )
        self._detector.warm_up()
        logger = self.get_logger()
        self._live = parameters.LiveParameters(self, settings, logger.info)
        self._worker = Worker(self._process, self._report, 'inference')
        self._cameras = {'': Camera(self, '', lambda message: self._worker.put('', message))}
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(1.0, self._watch, clock=clock)
        self._worker.start()
        self._introduce()

    def _introduce(self) -> None:
        """Log once what the node works with."""
        metadata = self._detector.metadata
        logger = self.get_logger()
        logger.info(
            f'weights {self._detector.weights} ({metadata.recipe or "recipe unknown"}, '
            f'descriptors of {self._detector.descriptor_size}), device {self._detector.device}, '
            f'precision {self._detector.engine.precision}'
        )
        if not metadata.descriptors_trained:
            logger.warning('these weights are of a detector alone: its descriptors mean nothing')
        for camera in self._cameras.values():
            logger.info(f'images from {camera.image_topic}, features to {camera.features_topic}')

    def stop(self) -> bool:
        """Return whether the work has ended, for which this waits `STOP_TIMEOUT` seconds."""
        ended = self._worker.stop(STOP_TIMEOUT)
        now = time.monotonic()
        for name, camera in self._cameras.items():
            self.get_logger().info(
                f'{camera.image_topic}: {camera.statistics.summary(now)}; overtaken while they '
                f'waited: {self._worker.dropped(name)} of {self._worker.received(name)} that came'
            )
        return ended

    def _process(self, batch: Batch) -> None:
        """Publish the features of the newest images; runs in the worker's thread."""
        settings = self._live.settings  # read once: what holds for this batch
        work = []
        for name, message in batch:
            camera = self._cameras[name]
            gray = camera.read(message)
            if gray is not None:
                work.append((camera, message, gray))
        if not work:
            return
        self._detector.settings = settings.detection
        start = time.perf_counter()
        found = self._detector([gray for _, _, gray in work])
        elapsed = time.perf_counter() - start
        for (camera, message, gray), features in zip(work, found, strict=True):
            camera.publish(message, gray, features, settings, elapsed)

    def _report(self, error: Exception) -> None:
        """Log that a batch failed; the node goes on with the next."""
        if self._throttle.ready('failure'):
            logger = self.get_logger()
            logger.error(
                f'a frame failed, the node goes on ({self._worker.failures} so far): '
                f'{type(error).__name__}: {error}'
            )
            logger.debug(''.join(traceback.format_exception(error)))

    def _watch(self) -> None:
        for camera in self._cameras.values():
            camera.watch()
