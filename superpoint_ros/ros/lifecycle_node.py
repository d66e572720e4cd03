# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What rclpy's managed node lacks: it bears a request for a transition that is not possible."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


class ManagedNode(LifecycleNode):
    """
    Be a lifecycle node that refuses what its state does not allow.

    rclpy 7.1 raises an error in the service's callback then, which ends the program: any client
    could end the node by asking an active one to activate.
    """

    def __init__(self, name: str, **options):
        super().__init__(name, **options)
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._change_state_if_possible

    @property
    def state(self) -> str:
        """Return the name of the lifecycle state, such as 'active'."""
        return self._state_machine.current_state[1]

    def _change_state_if_possible(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        possible = self._state_machine.available_transitions
        numbers, labels = ({transition[index] for transition in possible} for index in (0, 1))
        wanted = request.transition
        if wanted.label in labels if wanted.label else wanted.id in numbers:
            return self._change_state(request, response)
        self.get_logger().warning(
            f'the transition {wanted.label or wanted.id} is not possible: the node is '
            f'{self.state}; possible are {", ".join(sorted(labels))}'
        )
        response.success = False
        return response
