# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The base class of detector, tracker and visual odometry: lifecycle, inputs and diagnostics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.service import Service

from superpoint_ros.ros.parameters import LifecycleSettings, Parameters, warn_of_misspelt_names
from superpoint_ros.ros.topics.endpoints import publish_to
from superpoint_ros.ros.topics.input_topic import InputTopic

Result = TransitionCallbackReturn


class ProcessingNode(LifecycleNode, ABC):
    """
    A lifecycle node that processes input topics and reports in the diagnostics.

    Subclasses implement `prepare` (called once), `set_up` and `tear_down` (make and remove what
    exists while the node is configured) and, if they process in a thread, `begin_work` and
    `end_work`. They list their topics in `inputs`, which are received while the node is active.
    `groups` are the settings of `parameters`.

    If the parameter `autostart` is true, the constructor configures and activates the node, and
    raises what prevents that. Call `stop` before `destroy_node`. `options` are those of
    `rclpy.node.Node`.
    """

    def __init__(self, name: str, groups: Iterable[type], **options):
        super().__init__(name, **options)
        self.inputs: Sequence[InputTopic] = ()
        self._autostart_errors: list[Exception] | None = []  # None after the constructor
        self._own_publishers: list[Publisher] = []
        self._is_release_due = False
        self._refuse_impossible_transitions()
        try:
            self.parameters = Parameters(
                self,
                dict.fromkeys((LifecycleSettings, *groups)),
                self.check_parameters,
                self.apply_parameters,
            )
            self.prepare()
            warn_of_misspelt_names(self)
            self._status_publisher = self.publisher(DiagnosticArray, '/diagnostics', 10)
            self._own_publishers.clear()  # the others last until the node is cleaned up
            clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may be paused
            self.create_timer(1.0, self._watch, clock=clock)
        except BaseException:
            self.destroy_node()
            raise
        if self.parameters.of(LifecycleSettings).autostart:
            try:
                self._autostart()
            except BaseException:
                self._pause()
                self.destroy_node()
                raise
        self._autostart_errors = None

    @abstractmethod
    def prepare(self) -> None:
        """Make what exists as long as the node; may raise."""

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Raise ValueError, TypeError or OSError for new values that cannot be used."""

    def apply_parameters(self, values: Mapping[str, Any]) -> None:
        """Apply new values, which were checked, in addition to `parameters`."""

    @abstractmethod
    def set_up(self) -> None:
        """Make publishers and all else that a configured node has; may raise."""

    def tear_down(self) -> None:
        """Remove what `set_up` has made besides publishers, also if it has raised."""

    def begin_work(self) -> None:
        """Prepare to receive messages; may raise."""

    def end_work(self) -> bool:
        """Return whether all work on messages has ended, after waiting for it."""
        return True

    def publisher(
        self,
        message_type: type,
        topic: str,
        depth: int,
        on_match: Callable[[Any], None] | None = None,
    ) -> Publisher:
        """
        Return a new, reliable publisher whose QoS can be overridden by parameters.

        `on_match` is called when a subscriber appears or disappears, if the RMW implementation
        reports that. Publishers that `set_up` makes are destroyed after `tear_down`.
        """
        publisher = publish_to(self, message_type, topic, depth, matched=on_match)
        self._own_publishers.append(publisher)
        return publisher

    def statuses(self) -> list[DiagnosticStatus]:
        """Return the content of the diagnostics."""
        return [each.status() for each in self.inputs]

    @property
    def state(self) -> str:
        """Return the name of the lifecycle state, such as 'active'."""
        return self._answer(GetState).current_state.label

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Set up."""
        try:
            self.set_up()
        except Exception as error:  # noqa: BLE001 - the manager needs an answer, the log a reason
            self._release()
            return self._refuse('configured', error)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to receive messages."""
        try:
            self.begin_work()
            for each in self.inputs:
                each.start()
        except Exception as error:  # noqa: BLE001 - as above
            self._pause()
            return self._refuse('activated', error)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop receiving messages, and wait for the work to end."""
        self._pause()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Tear down."""
        return super().on_cleanup(state) if self._release() else Result.FAILURE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """
        Stop and tear down.

        ROS finalizes the node in any case: what a frame that is still processed uses is torn down
        when that has ended.
        """
        if self._release():
            return super().on_shutdown(state)
        self._is_release_due = True
        return Result.FAILURE

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Tear down; the node can be configured again."""
        return Result.SUCCESS if self._release() else Result.FAILURE

    def stop(self) -> bool:
        """Return whether all work has ended, after waiting up to 2 seconds; log statistics."""
        has_ended = self.end_work()
        for each in self.inputs:
            summary = each.statistics.summary(time.monotonic())
            self.get_logger().info(f'{each.topic}: {summary}')
        return has_ended

    def destroy_node(self) -> None:
        """Destroy the node, so that it disappears from the ROS graph."""
        super().destroy_node()
        # rclpy's state machine holds the node's handle: with it the node would stay in the graph
        # of other processes for 20 s. There is no public name for it.
        self._state_machine = None

    def _autostart(self) -> None:
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != Result.SUCCESS:
                errors = self._autostart_errors or [RuntimeError('activation failed')]
                raise errors[0]

    def _refuse(self, what: str, error: Exception) -> TransitionCallbackReturn:
        """Report why a transition failed: to the constructor, later in the log."""
        if self._autostart_errors is not None:
            self._autostart_errors.append(error)
        else:
            self.get_logger().error(f'the node cannot be {what}: {error}')
        return Result.FAILURE

    def _pause(self) -> bool:
        """Return whether no message is received nor processed any more."""
        for each in self.inputs:
            each.stop()
        return self.end_work()

    def _release(self) -> bool:
        """Return whether all is torn down; a frame that is still processed prevents it."""
        if not self._pause():
            self.get_logger().error('the processing of the current frame does not end')
            return False
        self.tear_down()
        while self._own_publishers:
            self.destroy_publisher(self._own_publishers.pop())
        return True

    def _watch(self) -> None:
        """Check the inputs and publish the diagnostics, once per second."""
        if self._is_release_due and self._pause():
            self._is_release_due = not self._release()
        for each in self.inputs:
            each.watch()
        message = DiagnosticArray(status=self.statuses())
        message.header.stamp = self.get_clock().now().to_msg()
        self._status_publisher.publish(message)

    def _service_of(self, kind: type) -> Service:
        """Return the node's first service of a type."""
        return next(service for service in self.services if service.srv_type is kind)

    def _answer(self, kind: type):
        """Return the answer of one of the node's own services to an empty request."""
        return self._service_of(kind).callback(kind.Request(), kind.Response())

    def _refuse_impossible_transitions(self) -> None:
        """
        Refuse transitions that the lifecycle state does not allow.

        rclpy 7.1 raises an error in the service's callback, which ends the program: any client
        could end the node by a request to activate an active node.
        """
        service = self._service_of(ChangeState)
        change = service.callback

        def change_if_possible(
            request: ChangeState.Request, response: ChangeState.Response
        ) -> ChangeState.Response:
            offered = self._answer(GetAvailableTransitions).available_transitions
            possible = {each.transition.label: each.transition.id for each in offered}
            wanted = request.transition
            if wanted.label in possible or (not wanted.label and wanted.id in possible.values()):
                return change(request, response)
            others = ', '.join(sorted(possible))
            self.get_logger().warning(
                f'the transition {wanted.label or wanted.id} is not possible: the node is '
                f'{self.state}; '
                + (f'possible are {others}' if others else 'end the program and start it again')
            )
            response.success = False
            return response

        service.callback = change_if_possible
