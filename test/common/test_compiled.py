# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Compiled functions work with any cache: damaged, full, or none."""

import ast
import importlib
import logging
from pathlib import Path
import resource
import sys

import numba
from numba.core.caching import CompileResultCacheImpl
import pytest

from superpoint_ros.common import compiled as module
from superpoint_ros.common.compiled import compiled, compiled_part, inlined

PACKAGE = Path(module.__file__).parents[1]


def doubled(x):
    return 2 * x


part = None


def one_more(x):
    return part(x) + 1


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of a new cache of Numba."""
    monkeypatch.setattr(numba.config, 'CACHE_DIR', str(tmp_path))
    monkeypatch.setattr(module, '_warned', set())
    monkeypatch.setattr(module, '_unsaved', set())
    return tmp_path


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == 'WARNING']


def test_a_function_is_compiled_with_one_warning_if_no_folder_is_writable(monkeypatch, caplog):
    njit, asked = module.njit, []

    def without_folder(cache=False, **settings):
        asked.append(cache)
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return njit(**settings)

    monkeypatch.setattr(module, 'njit', without_folder)
    module._warn_of_no_cache.cache_clear()
    functions = compiled(doubled), compiled(doubled)
    assert not warnings_of(caplog)
    assert [function(21) for function in functions] == [42, 42]
    assert asked == [True, False] * 2
    [warning] = warnings_of(caplog)
    assert 'at each start' in warning
    assert 'set NUMBA_CACHE_DIR' in warning


DAMAGES = {
    'empty': lambda data: b'',
    'cut off': lambda data: data[: len(data) // 2],
    'foreign': lambda data: b'no cache of Numba',
    'of one byte': lambda data: data[:-40] + bytes([data[-40] ^ 0xFF]) + data[-39:],
    'of one byte in the middle': lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0xFF]) + data[len(data) // 2 + 1 :]
    ),
}


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('kind', ['index', 'code'])
def test_a_damaged_cache_is_replaced_with_one_warning(cache, caplog, damage, kind):
    assert compiled(doubled)(21) == 42
    for path in cache.rglob('*.nbi' if kind == 'index' else '*.nbc'):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            again = compiled(doubled)
            assert again(21) == 42
    # A byte of an index may change only a name or hash in it: then the code is not found.
    assert len(warnings_of(caplog)) == 1 or (kind == 'index' and 'one byte' in damage)
    assert all('is damaged and is replaced' in text for text in warnings_of(caplog))
    assert sum(again.stats.cache_hits.values()) == 1  # the replaced cache is in use


def fail(error):
    def raise_error(*_, **__):
        raise error

    return raise_error


@pytest.mark.parametrize('error', [None, OSError('the disk is full'), RuntimeError('a signal')])
def test_code_that_cannot_be_saved_is_remembered(cache, monkeypatch, error):
    if error:
        monkeypatch.setattr(module.FunctionCache, 'save_overload', fail(error))
    assert compiled(doubled)(21) == 42
    assert module.is_all_saved() == (error is None)


def test_code_is_not_saved_if_a_damaged_index_cannot_be_replaced(cache, monkeypatch):
    assert compiled(doubled)(21) == 42
    for path in cache.rglob('*.nbi'):
        path.write_bytes(b'no index')
    monkeypatch.setattr(module._SafeCache, 'flush', fail(OSError('read-only')))
    assert compiled(doubled)(21) == 42
    assert not module.is_all_saved()


@pytest.mark.parametrize('decorate', [compiled_part, inlined])
def test_cached_code_contains_the_functions_that_it_calls(cache, monkeypatch, decorate):
    def call():
        monkeypatch.setitem(globals(), 'part', decorate(doubled))
        function = compiled(one_more)
        assert function(20) == 41
        return function

    call()
    assert len(list(cache.rglob('*.nbc'))) == 1
    again = call()
    assert sum(again.stats.cache_hits.values()) == 1
    assert not part.signatures  # not compiled again


MODULES = {
    'innermost': 'FACTOR = 2\n@inlined\ndef scaled(x):\n    return FACTOR * x\n',
    'middle': 'from innermost import scaled\n@compiled_part\ndef part(x):\n    return scaled(x)\n',
    'outer': 'from middle import part\n@compiled\ndef one_more(x):\n    return part(x) + 1\n',
}


def test_a_change_of_an_imported_module_renews_the_code_that_contains_it(
    cache, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, 'dont_write_bytecode', True)

    def imported(**changed):
        for name, text in (MODULES | changed).items():
            (tmp_path / f'{name}.py').write_text(f'from {module.__name__} import *\n{text}')
            monkeypatch.delitem(sys.modules, name, raising=False)
        module._hash_of_file.cache_clear()
        importlib.invalidate_caches()
        return importlib.import_module('outer').one_more

    assert imported()(20) == 41
    again = imported()
    assert again(20) == 41
    assert sum(again.stats.cache_hits.values()) == 1
    assert imported(innermost=MODULES['innermost'].replace('2', '3'))(20) == 61


COMPILING = {'compiled', 'compiled_part', 'inlined'}


def compiled_functions(path):
    """Return the syntax trees of a module's compiled functions by name."""
    return {
        function.name: function
        for function in ast.parse(path.read_text()).body
        if isinstance(function, ast.FunctionDef)
        and COMPILING & {getattr(each, 'id', None) for each in function.decorator_list}
    }


@pytest.mark.parametrize(
    'path',
    [path for path in sorted(PACKAGE.rglob('*.py')) if 'compiled import' in path.read_text()],
    ids=lambda path: path.stem,
)
def test_what_compiled_functions_import_is_from_modules_whose_changes_renew_the_code(path):
    functions = compiled_functions(path).values()
    used = {getattr(node, 'id', None) for function in functions for node in ast.walk(function)}
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.ImportFrom) and statement.module.startswith(PACKAGE.name):
            imported = {name.asname or name.name for name in statement.names} & (used - COMPILING)
            other = PACKAGE.parent / f'{statement.module.replace(".", "/")}.py'
            # The network fixes the size of a cell.
            assert imported <= {'CELL'} or imported & set(compiled_functions(other))


def test_a_full_disk_of_the_cache_costs_one_warning(cache, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    functions = [compiled(doubled), compiled(lambda x: 3 * x)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with caplog.at_level(logging.WARNING):
            results = [function(7) for function in functions]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert results == [14, 21]
    (text,) = warnings_of(caplog)
    assert 'cannot be written' in text
    assert str(cache) in text


def test_a_cache_that_was_removed_meanwhile_is_written_again(cache, caplog):
    function = compiled(doubled)
    for path in cache.iterdir():
        path.rmdir()
    assert function(21) == 42
    assert list(cache.rglob('*.nbc'))
    assert not warnings_of(caplog)


def test_entries_of_another_version_of_the_package_are_neither_read_nor_removed(
    cache, caplog, monkeypatch
):
    with monkeypatch.context() as other_version:
        other_version.setattr(module, '_FORMAT', 1)
        # Numba's own form, which an earlier version of the package has used
        other_version.setattr(module._CheckedCode, 'reduce', CompileResultCacheImpl.reduce)
        other_version.setattr(module._CheckedCode, 'rebuild', CompileResultCacheImpl.rebuild)
        assert compiled(doubled)(21) == 42
        assert compiled(doubled)(21) == 42
        old = set(cache.rglob('*.nbc'))
    first, second = compiled(doubled), compiled(doubled)
    assert first(21) == second(21) == 42
    assert sum(first.stats.cache_misses.values()) == 1
    assert sum(second.stats.cache_hits.values()) == 1
    assert old < set(cache.rglob('*.nbc'))
    assert not warnings_of(caplog)


def test_compiling_is_announced_once_and_loading_is_not(cache, caplog):
    def announced():
        module._announce.cache_clear()
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert compiled(doubled)(21) == 42
            assert compiled(doubled)(2.5) == 5.0
        return [text for text in caplog.messages if 'compiling for this processor' in text]

    assert len(announced()) == 1
    assert not announced()
