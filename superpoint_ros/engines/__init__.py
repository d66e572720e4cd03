# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines: the libraries that run the network."""

import sys

# OpenVINO imports this module if it is installed. It starts processes and sends reports over the
# network, which a node on a robot must not do; without it OpenVINO works the same.
sys.modules.setdefault('openvino_telemetry', None)
