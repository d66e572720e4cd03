# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A working directory that a program must not search."""

from __future__ import annotations

from contextlib import contextmanager
import ctypes

_PR_CAPBSET_DROP = 24
_CAPABILITIES = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, with which root searches it


@contextmanager
def closed_folder(folder):
    """Close a folder, and yield the options of subprocess to start a program in it."""
    library = ctypes.CDLL(None)

    def close():
        folder.chmod(0)
        for capability in _CAPABILITIES:
            library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)

    try:
        yield {'cwd': folder, 'preexec_fn': close}
    finally:
        folder.chmod(0o700)
