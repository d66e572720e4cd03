# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What is delivered: versions that agree, installed files, valid descriptions, guides."""

from __future__ import annotations

import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import cv2
import pytest

import superpoint_ros

ROOT = Path(__file__).resolve().parents[1]
DELIVERED = ('launch', 'config', 'models', 'cmake')


@pytest.fixture(scope='module')
def manifest():
    """The root element of package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


@pytest.fixture(scope='module')
def setup_arguments():
    """What setup.py hands to setuptools."""
    code = (
        'import json, runpy, setuptools\n'
        'setuptools.setup = lambda **given: print(json.dumps(given))\n'
        'runpy.run_path("setup.py")\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_one_version_and_one_licence_everywhere(manifest, setup_arguments):
    assert manifest.findtext('version') == superpoint_ros.__version__
    assert setup_arguments['version'] == superpoint_ros.__version__
    assert f'## {superpoint_ros.__version__}' in (ROOT / 'CHANGELOG.md').read_text()
    assert manifest.findtext('license') == setup_arguments['license'] == 'Apache-2.0'
    yaml = pytest.importorskip('yaml')
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == superpoint_ros.__version__
    assert citation['license'] == 'Apache-2.0'
    assert manifest.find('license').get('file') == 'LICENSE'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_the_manifest_is_one_that_ros_accepts(manifest):
    assert manifest.tag == 'package'
    assert manifest.get('format') == '3'
    assert manifest.findtext('name') == superpoint_ros.__name__
    assert manifest.findtext('export/build_type') == 'ament_python'
    # A malformed address silently makes a plain Python package of it.
    address = manifest.find('maintainer').get('email')
    assert re.fullmatch(r'[\w.+-]+@[\w-]+(\.[\w-]+)+', address)
    catkin_pkg = pytest.importorskip('catkin_pkg.package')
    warnings = []
    package = catkin_pkg.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    package.validate()
    assert warnings == []


def test_the_manifest_names_the_ros_packages_that_are_imported(manifest):
    sources = [*(ROOT / 'superpoint_ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py')]
    pattern = re.compile(r'^\s*(?:from|import) (\w+)', re.MULTILINE)
    imported = {name for path in sources for name in pattern.findall(path.read_text())}
    from_ros = {name for name in imported if re.fullmatch(r'rclpy|launch(_ros)?|\w+_msgs', name)}
    assert {'rclpy', 'sensor_msgs'} <= from_ros
    declared = {element.text for element in manifest.iter('exec_depend')}
    optional = {'rtabmap_msgs'}  # of superpoint rtabmap-bridge alone
    assert from_ros - declared - optional == set()


def test_the_manifest_names_the_python_packages_that_setup_installs(manifest, setup_arguments):
    # safetensors has no rosdep key.
    keys = {'opencv-python-headless': 'opencv', 'safetensors': None}
    names = {re.match(r'[\w-]+', each).group() for each in setup_arguments['install_requires']}
    expected = {keys.get(name, name) for name in names} - {None}
    declared = {element.text for element in manifest.iter('exec_depend')}
    assert {f'python3-{name}' for name in expected} <= declared


def test_everything_that_nodes_look_for_is_installed(setup_arguments):
    installed = {
        f'{target}/{Path(source).name}': source
        for target, sources in setup_arguments['data_files']
        for source in sources
    }
    assert installed['share/ament_index/resource_index/packages/superpoint_ros']
    assert installed['share/superpoint_ros/package.xml'] == 'package.xml'
    assert (
        installed['include/superpoint_ros/messages.hpp'] == 'include/superpoint_ros/messages.hpp'
    )
    for folder in DELIVERED:
        files = [path for path in (ROOT / folder).iterdir() if path.is_file()]
        assert files, f'{folder}/ is empty'
        for path in files:
            if '__pycache__' not in path.parts:
                assert f'share/superpoint_ros/{folder}/{path.name}' in installed


def test_every_program_can_be_started(setup_arguments):
    from importlib import import_module

    scripts = setup_arguments['entry_points']['console_scripts']
    programs = {'superpoint', 'detector', 'player', 'tracker', 'visual_odometry'}
    assert {script.split(' = ')[0] for script in scripts} == programs
    for script in scripts:
        module, function = script.split(' = ')[1].split(':')
        assert callable(getattr(import_module(module), function))


def test_every_package_is_delivered_with_its_data(setup_arguments):
    folders = {path.parent for path in (ROOT / 'superpoint_ros').rglob('*.py')}
    packages = {'.'.join(folder.relative_to(ROOT).parts) for folder in folders}
    assert packages - set(setup_arguments['packages']) == set()
    patterns = setup_arguments['package_data']['superpoint_ros']
    data = [
        path
        for path in (ROOT / 'superpoint_ros').rglob('*')
        if path.is_file() and path.suffix != '.py' and path.parent.name != '__pycache__'
    ]
    delivered = {path for pattern in patterns for path in (ROOT / 'superpoint_ros').glob(pattern)}
    assert set(data) - delivered == set()


def test_each_photograph_is_readable_and_its_licence_stated():
    folder = ROOT / 'superpoint_ros' / 'demo_photographs'
    stated = set(re.findall(r'^\| `([\w.]+)`', (folder / 'LICENCES.md').read_text(), re.MULTILINE))
    photographs = {path.name for path in folder.glob('*.jpg')}
    assert len(photographs) >= 6
    assert stated == photographs
    for name in photographs:
        assert min(cv2.imread(str(folder / name)).shape[:2]) >= 400


def test_the_changelog_has_each_heading_once_in_a_release():
    releases = (ROOT / 'CHANGELOG.md').read_text().split('\n## ')[1:]
    for release in releases:
        headings = re.findall(r'^### (.*)$', release, re.MULTILINE)
        assert sorted(set(headings)) == sorted(headings)


def test_the_environments_of_both_distributions_have_the_same_packages(setup_arguments):
    extras = setup_arguments['extras_require']
    kilted = [name.replace('-kilted-', '-jazzy-') for name in extras['ros-kilted']]
    assert kilted == extras['ros']
    for arguments in (['play'], ['test', 'humble']):
        command = ['bash', str(ROOT / 'scripts' / 'setup.sh'), *arguments]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 1, run.stderr
        assert run.stderr.startswith('setup: no such ')
        assert arguments[-1] in run.stderr


def test_the_demo_script_works_from_the_folder_above_the_repository(tmp_path):
    repository = tmp_path / 'superpoint_ros'
    program = repository / '.venv' / 'bin' / 'superpoint'
    for path in (repository / 'scripts' / 'setup.sh', program):
        path.parent.mkdir(parents=True)
        path.write_text('#!/bin/sh\necho "$@"\n')
        path.chmod(0o755)
    shutil.copy(ROOT / 'scripts' / 'demo.sh', repository / 'scripts')
    command = ['bash', 'superpoint_ros/scripts/demo.sh', 'my photos', '--seconds', '3']
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    output = f'--output {repository}/runs/demo'
    assert run.stdout == f'demo\ndemo {output} my photos --seconds 3\n'


@pytest.mark.parametrize('name', [path.name for path in sorted((ROOT / 'scripts').glob('*.sh'))])
def test_scripts_explain_their_use_without_installing_anything(tmp_path, name):
    script = tmp_path / 'scripts' / name
    shutil.copytree(ROOT / 'scripts', script.parent)
    for option in ('-h', '--help'):
        run = subprocess.run(['bash', str(script), option], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert f'\n  bash scripts/{name}' in run.stdout
        assert '#' not in run.stdout
        assert run.stderr == ''
    assert sorted(path.name for path in tmp_path.iterdir()) == ['scripts']


def test_scripts_are_valid_and_continuous_integration_can_be_executed():
    for path in [*(ROOT / 'scripts').glob('*.sh'), ROOT / '.ci' / 'run']:
        assert path.read_text().startswith('#!/usr/bin/env bash\n')
        subprocess.run(['bash', '-n', str(path)], check=True)
    assert (ROOT / '.ci' / 'run').stat().st_mode & 0o100


def test_shell_lines_of_containers_are_valid():
    yaml = pytest.importorskip('yaml', reason='PyYAML is not installed')
    dockerfile = (ROOT / 'Dockerfile').read_text().replace('\\\n', ' ')
    lines = re.findall(r'^RUN (.*)$', dockerfile, re.MULTILINE)
    workflow = yaml.safe_load((ROOT / '.github' / 'workflows' / 'ci.yml').read_text())
    for job in workflow['jobs'].values():
        lines += [step['run'] for step in job['steps'] if 'run' in step]
    assert len(lines) >= 8
    for line in lines:
        subprocess.run(['bash', '-nc', line], check=True)


def test_the_container_exchanges_messages_with_nodes_of_the_host():
    # Measured with a private /dev/shm: without the variable, no image of 200 arrived.
    text = (ROOT / 'Dockerfile').read_text()
    assert re.search(r'^ENV FASTDDS_BUILTIN_TRANSPORTS=UDPv4$', text, re.MULTILINE)


def test_the_development_container_builds_the_dockerfile():
    folder = ROOT / '.devcontainer'
    container = json.loads((folder / 'devcontainer.json').read_text())
    assert (folder / container['build']['dockerfile']).resolve() == ROOT / 'Dockerfile'
    assert (folder / container['build']['context']).resolve() == ROOT
    workspace = re.search(r'^WORKDIR (\S+)$', (ROOT / 'Dockerfile').read_text(), re.MULTILINE)
    assert container['workspaceFolder'].startswith(f'{workspace.group(1)}/src/')


def test_the_guide_of_a_folder_names_each_of_its_modules():
    for file in (ROOT / 'superpoint_ros').rglob('__init__.py'):
        _, is_guide, names = file.read_text().split('"""')[1].partition('\n- ')
        modules = {path.stem for path in file.parent.glob('*.py')} - {'__init__'}
        assert not is_guide or set(re.findall(r'`(\w+)`', names)) == modules, file.parent.name
