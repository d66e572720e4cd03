# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The `superpoint` program answers quickly and reports wrong input in one line."""

from __future__ import annotations

from contextlib import suppress
import logging
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time
import types

import pytest
from tqdm import tqdm

from superpoint_ros.cli import main as program
from superpoint_ros.common import compiled


@pytest.fixture
def command(monkeypatch):
    """Return a function that makes `superpoint try` run the given function."""

    def install(run, extra=''):
        module = types.ModuleType('superpoint_ros.cli.try_it')
        module.add_arguments = lambda parser: parser.add_argument('--number', type=int, default=3)
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        commands = {'try': program.Command('try_it', 'try it', extra)}
        monkeypatch.setattr(program, 'COMMANDS', commands)

    return install


def raise_(error):
    """Raise the error, as an expression."""
    raise error


def test_a_command_gets_its_arguments_and_gives_the_exit_status(command):
    command(lambda args: args.number)
    assert program.main(['try', '--number', '7']) == 7
    assert program.main(['try']) == 3


@pytest.mark.parametrize(
    ('error', 'status', 'line'),
    [
        (ValueError('threshold must\n be in 0 to 1'), 2, 'threshold must be in 0 to 1'),
        (FileNotFoundError(2, 'No such file or directory', 'a.png'), 2, 'a.png: No such file'),
        (OSError(28, 'No space left on device'), 1, 'No space left on device'),
        (
            OSError(28, 'write failed\n, no space', 'a  b.h5'),
            1,
            'a  b.h5: write failed , no space',
        ),
        (KeyboardInterrupt(), 130, 'interrupted'),
        (MemoryError('Unable to allocate 601. MiB for an array'), 1, 'not enough memory'),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you"), 1, 'not enough memory'),
        (RuntimeError('CUDA out of memory. Tried to allocate 2 GiB'), 1, 'not enough memory'),
        (RuntimeError('Failed to allocate 4032 bytes of memory'), 1, 'not enough memory'),
        (RuntimeError('std::bad_alloc'), 1, 'not enough memory'),
    ],
)
def test_an_expected_error_is_one_line_and_an_exit_status(command, capsys, error, status, line):
    command(lambda args: raise_(error))
    assert program.main(['try']) == status
    said = capsys.readouterr().err
    assert said.startswith(f'superpoint: {line}')
    assert said.count('\n') == 1


def test_an_error_is_not_in_the_line_of_a_progress_bar(command, capsys):
    command(lambda args: [raise_(ValueError('damaged')) for _ in tqdm(range(3))])
    assert program.main(['try']) == 2
    before, _, _ = capsys.readouterr().err.partition('superpoint: damaged\n')
    assert '0/3' in before
    assert before.endswith(('\r', '\n'))  # \n if Python has closed the bar already


def test_what_the_detection_logs_about_its_compilation_is_printed(command, capsys):
    command(lambda args: logging.getLogger(compiled.__name__).info('compiling') or 0)
    assert program.main(['try']) == 0
    assert capsys.readouterr() == ('', 'compiling\n')


def test_a_warning_of_the_package_is_one_line_below_a_progress_bar(command, capsys):
    log = logging.getLogger('superpoint_ros.data')
    command(lambda args: sum(log.warning('skipped: %s', name) or 0 for name in tqdm('ab')))
    assert program.main(['try']) == 0
    # The bar of an earlier test may still be above this one: its line is left by ESC [A.
    lines = re.split(r'[\r\n]|\x1b\[A', capsys.readouterr().err)
    assert [line for line in lines if 'skipped' in line] == ['skipped: a', 'skipped: b']
    assert not logging.getLogger('superpoint_ros').handlers


@pytest.mark.parametrize(
    ('module', 'extra', 'has_ros', 'needed'),
    [
        pytest.param('lightning', 'training', False, '.[training]', id='extra'),
        pytest.param('rosbags', 'bags,ros', True, '.[bags]', id='extra of a machine with ROS'),
        pytest.param('rosbags', 'bags,ros', False, '.[bags,ros]', id='extra without ROS'),
        pytest.param('rclpy', 'benchmark', False, '.[benchmark,ros]', id='ROS for an option'),
        pytest.param('tqdm', '', False, '.', id='module of the base package'),
    ],
)
def test_a_missing_module_is_named_with_the_way_to_install_it(
    command, monkeypatch, capsys, module, extra, has_ros, needed
):
    monkeypatch.setattr(program, 'find_spec', lambda name: has_ros or None)
    error = ModuleNotFoundError(f'No module named {module!r}', name=module)
    command(lambda args: raise_(error), extra=extra)
    assert program.main(['try']) == 1
    assert (
        f"needs the module {module}: pip install '{needed}' in the folder"
        in capsys.readouterr().err
    )


def test_an_extra_that_is_missing_when_options_are_declared_is_named(command, capsys):
    error = ModuleNotFoundError("No module named 'jsonargparse'", name='jsonargparse')
    command(lambda args: 0, extra='train')
    module = sys.modules['superpoint_ros.cli.try_it']
    module.add_arguments = lambda parser: raise_(error)
    assert program.main(['try', '--help']) == 1
    assert "needs the module jsonargparse: pip install '.[train]'" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        program.main(['--traceback', 'try', '--help'])


def test_the_traceback_option_lets_the_error_through(command):
    command(lambda args: raise_(ValueError('wrong')))
    with pytest.raises(ValueError, match='wrong'):
        program.main(['--traceback', 'try'])


@pytest.mark.parametrize('arguments', [[], ['no-such-command'], ['try', '--number', 'x']])
def test_a_wrong_command_line_exits_with_status_two(command, arguments):
    command(lambda args: 0)
    with pytest.raises(SystemExit) as stop:
        program.main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    'arguments',
    [
        ['detect', '', '--out', 'o'],
        ['detect', 'a.png', '--out', ''],
        ['match', 'a', '', '--out', 'o'],
    ],
)
def test_an_empty_name_of_a_file_does_not_stand_for_the_current_folder(
    tmp_path, monkeypatch, capsys, arguments
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match='2'):
        program.main(arguments)
    assert 'must not be empty' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['train'], 'the following arguments are required: stage'),
        (['adapt'], 'the following arguments are required: PHOTOS'),
        (
            ['rerun', 'camera.txt'],
            "'camera.txt' does not end in .rrd; for the viewer, leave it out",
        ),
    ],
)
def test_the_error_of_a_wrong_command_line_names_what_is_wrong(arguments, message, capsys):
    with pytest.raises(SystemExit):
        program.main(arguments)
    assert capsys.readouterr().err.splitlines()[-1].endswith(message)


def test_help_names_every_command_and_imports_no_heavy_library():
    code = (
        'import sys\n'
        'from superpoint_ros.cli.main import main\n'
        'try:\n'
        "    main(['--help'])\n"
        'finally:\n'
        "    assert not {'torch', 'cv2', 'lightning', 'rclpy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in program.COMMANDS:
        assert name in done.stdout


def test_an_interrupted_import_of_a_library_in_cpp_is_no_error_of_the_library(command, capsys):
    def interrupted(args):
        raise ImportError('initialization failed') from KeyboardInterrupt()

    command(interrupted)
    assert program.main(['try']) == 130
    assert capsys.readouterr().err == 'superpoint: interrupted\n'


@pytest.mark.parametrize(
    ('sent', 'status', 'word'),
    [(signal.SIGINT, 130, 'interrupted'), (signal.SIGTERM, 143, 'terminated')],
)
def test_a_signal_whose_exception_a_library_loses_still_ends_the_command(
    command, capsys, sent, status, word
):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def interrupted(args):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(sent)
        raise RuntimeError("Unable to convert call argument '0' to Python object")

    command(interrupted)
    assert program.main(['try']) == status
    assert capsys.readouterr().err == f'superpoint: {word}\n'
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.parametrize(
    ('sent', 'status', 'word'),
    [(signal.SIGINT, 130, 'interrupted'), (signal.SIGTERM, 143, 'terminated')],
)
def test_a_signal_during_a_finalizer_ends_the_command(command, capsys, sent, status, word):
    class Kept:
        def __del__(self):
            signal.raise_signal(sent)

    hook, alive = sys.unraisablehook, []

    def interrupted(args):
        Kept()
        alive.append(True)
        time.sleep(60)

    command(interrupted)
    assert program.main(['try']) == status
    assert alive
    assert capsys.readouterr().err == f'superpoint: {word}\n'
    assert sys.unraisablehook is hook


def test_other_errors_in_finalizers_are_reported_as_usual(command, monkeypatch):
    class Kept:
        def __del__(self):
            raise ValueError

    reports = []
    monkeypatch.setattr(sys, 'unraisablehook', reports.append)
    command(lambda args: [Kept() for _ in range(2)] and 0)
    assert program.main(['try']) == 0
    assert [type(report.exc_value) for report in reports] == [ValueError, ValueError]


def test_bad_input_that_is_found_after_ctrl_c_is_reported(command, capsys):
    def interrupted(args):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise OSError('the disk is full')

    command(interrupted)
    assert program.main(['try']) == 1
    assert capsys.readouterr().err == 'superpoint: the disk is full\n'


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        program.main(['--version'])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith('superpoint_ros ')


def run_try(work, **streams):
    """Return the finished process whose command `try` runs a line of Python."""
    program = f"""
import sys, types
from superpoint_ros.cli import main as program
from superpoint_ros.common import compiled
module = types.ModuleType('superpoint_ros.cli.try_it')
module.add_arguments = lambda parser: None
def run(args):
    {work}
    return 0
module.run = run
sys.modules[module.__name__] = module
program.COMMANDS = {{'try': program.Command('try_it', 'try it')}}
sys.exit(program.main(['try']))
"""
    return subprocess.run([sys.executable, '-c', program], check=False, **streams)


def test_work_is_done_although_the_reader_of_its_output_has_ended(tmp_path):
    result = tmp_path / 'result'
    work = (
        '[print(1, flush=True) or print(2, file=sys.stderr) for _ in range(9)]; '
        f"open({str(result)!r}, 'w').close()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run_try(work, stdout=writer, stderr=writer).returncode == 0
    finally:
        os.close(writer)
    assert result.exists()


def test_work_is_done_with_closed_streams(tmp_path):
    result = tmp_path / 'result'
    close = {'preexec_fn': lambda: [os.close(number) for number in range(3)]}
    work = f"print(1); print(2, file=sys.stderr); open({str(result)!r}, 'w').close()"
    assert run_try(work, **close).returncode == 0
    assert result.exists()


def test_messages_of_libraries_get_into_no_file_if_streams_are_closed(tmp_path):
    close = {'preexec_fn': lambda: [os.close(number) for number in range(3)]}
    names = [str(tmp_path / name) for name in 'abc']
    work = (
        'import os\n'
        f"    files = [open(name, 'w') for name in {names}]\n"
        "    os.write(1, b'output'), os.write(2, b'libpng warning')"
    )
    assert run_try(work, **close).returncode == 0
    assert [Path(name).read_text() for name in names] == ['', '', '']


def test_sigterm_removes_unfinished_files_and_is_one_line(tmp_path):
    work = (
        'import os, signal, tempfile\n'
        f'    with tempfile.TemporaryDirectory(dir={str(tmp_path)!r}):\n'
        '        try: os.kill(os.getpid(), signal.SIGTERM)\n'
        '        finally: os.kill(os.getpid(), signal.SIGTERM)'
    )
    done = run_try(work, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, 'superpoint: terminated\n')
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written_is_one_line():
    with Path('/dev/full').open('w') as full:
        done = run_try('print(1)', stdout=full, stderr=subprocess.PIPE)
    expected = b'superpoint: standard output: No space left on device\n'
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.parametrize(
    ('encoding', 'shown'),
    [
        ('utf-8:strict', 'Straße, \\udcff'),
        ('ascii:strict', 'Stra\\xdfe, \\udcff'),
    ],
)
def test_names_that_the_encoding_of_the_output_lacks_are_printed(encoding, shown):
    environment = {**os.environ, 'PYTHONIOENCODING': encoding}
    work = "print('Stra\\u00dfe, \\udcff')"
    done = run_try(work, capture_output=True, env=environment)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, f'{shown}\n', b'')
