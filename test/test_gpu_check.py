# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`scripts/gpu_check.sh` names existing files, and refuses what it cannot do."""

import os
from pathlib import Path
import re
import subprocess

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'scripts' / 'gpu_check.sh'


def run(*arguments, **variables):
    return subprocess.run(
        ['bash', SCRIPT, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_gpu_check_names_tests_and_weights_that_exist():
    words = re.findall(r'(?:test|models)/[\w./]+', SCRIPT.read_text())
    assert {'test/engines', 'models/superpoint.safetensors'} <= set(words)
    assert [word for word in words if not (ROOT / word).exists()] == []


def test_gpu_check_refuses_an_unknown_option():
    done = run('--quick')
    assert done.returncode == 2, done.stderr
    assert 'unknown option --quick' in done.stderr


def test_gpu_check_names_the_setup_if_its_python_lacks_packages(tmp_path):
    done = run(str(tmp_path / 'out'), PYTHON='false')
    assert done.returncode == 2, done.stderr
    assert "run 'bash scripts/setup.sh test'" in done.stderr
    assert not (tmp_path / 'out').exists()
