# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The decorator of loops that Numba compiles for the processor that they run on.

A sequence of NumPy or OpenCV operations reads and writes the whole image once per operation, which
takes most of their time; a compiled loop reads and writes it once.

Machine code is cached next to the module or in the user's cache. The first call compiles for some
seconds (`Detector.warm_up`). The cache is renewed when the processor, the module, or a module from
which it imports compiled functions (directly or through others) changes. Constants of all other
modules are arguments of compiled functions, except the size of a cell, which the network fixes.

If a cache is damaged, full or not writable, functions are compiled again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
import hashlib
import logging
from pathlib import Path
import pickle

from numba import njit
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    NullCache,
)
from numba.core.dispatcher import Dispatcher
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

_OPTIONS = {
    'nogil': True,
    'error_model': 'numpy',
    # Sums may be evaluated in any order, so that they can be vectorized.
    'fastmath': {'contract', 'nsz', 'reassoc'},
}

# The code by which Python calls a function, and saving that to a cache, take as long as compiling
# a short function. The cached code of a function contains all that it calls.
_PART_OPTIONS = {**_OPTIONS, 'no_cpython_wrapper': True, 'no_cfunc_wrapper': True}

_FORMAT = 2
"""
Version of the form in which machine code is cached, part of the key of each entry.

Another version of the package may share a cache: its entries are not read, and are kept.
"""

_log = logging.getLogger(__name__)
_warned: set[str] = set()  # folders of caches
_unsaved: set[str] = set()  # functions or signatures whose code exists in this process only


def compiled(function: Callable) -> Callable:
    """Return a function that is compiled at its first call."""
    try:
        result = njit(cache=True, **_OPTIONS)(function)
        result._cache = _SafeCache(function)  # Numba has no public way to replace its cache
        return result
    except (RuntimeError, OSError):  # no folder is writable
        result = njit(**_OPTIONS)(function)
        result._cache = _NoCache()
        return result


def compiled_part(function: Callable) -> Callable:
    """
    Return a function like `compiled` that only compiled functions call.

    It takes half as long to compile, but a call from Python crashes; `py_func` is the original.
    """
    return njit(**_PART_OPTIONS)(function)


def inlined(function: Callable) -> Callable:
    """Return a function like `compiled_part`, whose code becomes part of each loop with a call."""
    return njit(forceinline=True, **_PART_OPTIONS)(function)


def is_all_saved() -> bool:
    """Return whether the code of all functions that were compiled so far has been saved."""
    return not _unsaved


class _CheckedCode(CompileResultCacheImpl):
    """The form in which machine code is cached: with a hash, as damaged code would crash."""

    def reduce(self, cres):
        """Return the code as (hash, bytes)."""
        data = dumps(super().reduce(cres))
        return hashlib.sha256(data).digest(), data

    def rebuild(self, target_context, payload):
        """Return the code; raise ValueError if its hash does not fit."""
        digest, data = payload
        if hashlib.sha256(data).digest() != digest:
            raise ValueError('the machine code does not have its hash')
        return super().rebuild(target_context, pickle.loads(data))


class _SafeCache(FunctionCache):
    """
    A cache that never makes a call fail.

    Numba raises EOFError, UnpicklingError or others for a damaged file, at every start again, and
    OSError if the disk is full. Here the function is compiled and its files are replaced.
    """

    _impl_class = _CheckedCode

    def __init__(self, function):
        super().__init__(function)
        # Numba's own stamp is that of the function's own file alone.
        self._cache_file = IndexDataCacheFile(
            self._cache_path, self._impl.filename_base, _stamp(function)
        )

    def _index_key(self, sig, codegen):
        return (*super()._index_key(sig, codegen), _FORMAT)

    def load_overload(self, sig, target_context):
        """Return the cached code for a signature, None if there is none that can be used."""
        try:
            # Numba's own method also imports all that compilation needs, SciPy included: 0.4 s.
            # A function without cached code gets that from the compiler.
            rtsys.initialize(target_context)
            code = self._load_overload(sig, target_context)
            if code is None:
                _announce()
            return code
        except Exception as error:  # noqa: BLE001 - unpickling damaged data may raise anything
            self._warn(f'is damaged and is replaced ({type(error).__name__}: {error})')
        try:
            self.flush()  # an index that cannot be read would prevent that code is saved
        except OSError:
            self.disable()
            _unsaved.add(self._name)
        return None

    def save_overload(self, sig, data):
        """Save code for a signature if possible."""
        try:
            super().save_overload(sig, data)
        except RuntimeError:  # a signal has interrupted the report of the code to Numba
            _unsaved.add(self._name)
        except Exception as error:  # noqa: BLE001 - as above
            _unsaved.add(self._name)
            self._warn(
                f'cannot be written, so that each start compiles for some seconds ({error})'
            )

    def _warn(self, what: str) -> None:
        if self.cache_path not in _warned:
            _warned.add(self.cache_path)
            _log.warning('the cache of compiled functions, %s, %s', self.cache_path, what)


def _stamp(function: Callable) -> str:
    """Return a hash of the files whose functions the machine code of a function may contain."""
    paths, waiting = set(), [function]
    while waiting:
        function = waiting.pop()
        path = function.__code__.co_filename
        if path not in paths:
            paths.add(path)
            names = function.__globals__.values()
            waiting += [name.py_func for name in names if isinstance(name, Dispatcher)]
    return hashlib.sha256(b''.join(map(_hash_of_file, sorted(paths)))).hexdigest()


@cache
def _hash_of_file(path: str) -> bytes:
    return hashlib.sha256(Path(path).read_bytes()).digest()


class _NoCache(NullCache):
    """The absence of a cache, which is reported when the first function is compiled."""

    def load_overload(self, sig, target_context):
        """Return None, after a warning at the first call."""
        _unsaved.add(str(sig))
        _warn_of_no_cache()


@cache
def _warn_of_no_cache() -> None:
    """Log once that each start compiles, and how to prevent it."""
    _log.warning(
        'compiling for this processor, which takes up to a minute at each start, because the code '
        'cannot be kept: make the __pycache__ folders of the package or the home folder writable, '
        'or set NUMBA_CACHE_DIR to a folder that is'
    )


@cache
def _announce() -> None:
    """Log once that the process compiles, which delays it."""
    _log.info(
        'compiling for this processor, which takes up to a minute; later starts load the code'
    )
