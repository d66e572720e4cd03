# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""pytest plugin: what ROS's packages `launch` and `launch_testing` do to a test run."""

import importlib
import logging
import sys

import pytest


class SilentLogger(logging.Logger):
    """A logger whose records do not reach the root logger, and so not `caplog`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.propagate = False


logging.setLoggerClass(SilentLogger)


def pytest_pycollect_makemodule(module_path, parent):
    """Import the module by its bare name, here, where a skip concerns the whole folder."""
    sys.path.insert(0, str(module_path.parent))
    importlib.import_module(module_path.stem)
    return pytest.Module.from_parent(parent, path=module_path)
