# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""pytest plugin: loggers do not propagate, as after an import of ROS's package `launch`."""

import logging


class SilentLogger(logging.Logger):
    """A logger whose records do not reach the root logger, and so not `caplog`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.propagate = False


logging.setLoggerClass(SilentLogger)
