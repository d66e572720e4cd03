# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a process has compiled, for programs that tests run in other processes."""

COMPILED = """
import sys

import numba

def compiled():
    found = set()
    for name, module in list(sys.modules.items()):
        if name.startswith('superpoint_ros.'):
            for each in vars(module).values():
                if isinstance(each, numba.core.dispatcher.Dispatcher):
                    function = each.py_func.__module__, each.py_func.__name__
                    found |= {(*function, *signature) for signature in each.signatures}
    return found
"""
"""Program text that defines `compiled()`: module, name and signatures of compiled functions."""
