"""A camera that flies through a room of photographs: images whose true poses are known."""

from superpoint_ros.simulation.room import SimulatedRoom

__all__ = ['SimulatedRoom']
