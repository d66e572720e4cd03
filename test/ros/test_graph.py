# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What other processes see of a node, and which names a node may use in rclpy's classes."""

from __future__ import annotations

import ast
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

import rclpy
from rclpy.lifecycle import LifecycleNode

from support.node_processes import Program, START
from support.ros import Observer
from support.ros_domain import ros_domain

PACKAGE = Path(__file__).parents[2] / 'superpoint_ros'


@pytest.mark.parametrize('name', ['detector', 'tracker', 'visual_odometry', 'player'])
@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM])
def test_a_node_that_has_ended_is_gone_from_the_graph_at_once(name, sent, random_weights):
    domain = ros_domain(7)
    observer = Observer(domain)
    arguments = ['-p', f'weights:={random_weights}', '-p', 'engine:=torch']
    node = Program(
        ['-m', 'superpoint_ros.ros.run_node', name, '--ros-args']
        + (arguments if name == 'detector' else []),
        domain,
    )
    try:
        observer.wait_until(lambda: name in observer.observer.get_node_names(), START)
        node.wait_for('publishing' if name == 'player' else ' from ')
        node.interrupt(sent)
        node.finish()
        # It would stay for 20 s if its end were not announced.
        observer.wait_until(lambda: name not in observer.observer.get_node_names(), timeout=10)
    finally:
        node.end()
        observer.close()


def rclpys_names():
    """Return the names of attributes that rclpy's own nodes have."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=ros_domain(7))
    node = LifecycleNode('plain', context=context)
    names = {*vars(node), *dir(LifecycleNode)}
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    return names


def classes_of_nodes():
    """Return the syntax trees of the package's classes that are derived from rclpy's nodes."""
    trees = [ast.parse(path.read_text()) for path in sorted((PACKAGE / 'ros').rglob('*.py'))]
    classes = [each for tree in trees for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]
    nodes = {'Node', 'LifecycleNode'}
    while True:
        found = {
            each.name
            for each in classes
            if any(isinstance(base, ast.Name) and base.id in nodes for base in each.bases)
        }
        if found <= nodes:
            return [each for each in classes if each.name in found]
        nodes |= found


def test_nodes_use_no_private_names_of_rclpy():
    private = {name for name in rclpys_names() if name.startswith('_') and name[1] != '_'}
    assert {'_state_machine', '_subscriptions'} <= private
    used = set()
    for each in classes_of_nodes():
        used |= {
            (each.name, node.attr)
            for node in ast.walk(each)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == 'self'
            and node.attr in private
        }
        used |= {
            (each.name, node.name)
            for node in each.body
            if isinstance(node, ast.FunctionDef) and node.name in private
        }
    assert len(classes_of_nodes()) >= 6
    # It keeps the node in the graph after `destroy_node`; there is no public way to release it.
    assert used == {('ProcessingNode', '_state_machine')}


def run_program(*arguments):
    """Return the ended process of `run_node` with these arguments."""
    command = [sys.executable, '-m', 'superpoint_ros.ros.run_node', *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=START, check=False)


@pytest.mark.parametrize('name', ['', 'camera'])
def test_the_program_lists_the_nodes_if_none_of_them_is_named(name):
    ended = run_program(*filter(None, [name]))
    assert ended.returncode == 1, ended.stderr
    assert '{detector,player,tracker,visual_odometry}' in ended.stderr


@pytest.mark.parametrize('missing', [('numba',), ('openvino', 'torch')], ids=' and '.join)
def test_a_missing_module_is_reported_with_the_python_that_lacks_it(
    tmp_path, monkeypatch, missing
):
    for module in missing:
        error = f'raise ModuleNotFoundError("No module named \'{module}\'")\n'
        (tmp_path / f'{module}.py').write_text(error)
    path = [str(tmp_path), str(PACKAGE.parent), os.environ.get('PYTHONPATH', '')]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(path))  # a sourced ROS is in it
    ended = run_program('detector')
    assert ended.returncode == 1, ended.stderr
    line = ended.stderr.splitlines()[-1]
    assert f"detector cannot start: No module named '{missing[-1]}'" in line
    assert sys.executable in line
    assert 'activate the environment that has it, then build again: colcon build' in line


def test_a_node_without_ros_names_both_ways_to_get_it():
    program = (
        'import sys; sys.modules.update(diagnostic_msgs=None); '
        'from importlib import util; util.find_spec = lambda name: None; '
        'from superpoint_ros.ros.run_node import run_node; sys.exit(run_node("detector"))'
    )
    command = [sys.executable, '-c', program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=START, check=False)
    assert ended.returncode == 1, ended.stderr
    line = ended.stderr.splitlines()[-1]
    assert 'diagnostic_msgs' in line
    assert "source ROS 2, or where it is not installed, pip install '.[ros]'" in line
    assert 'colcon' not in line


def test_a_node_without_a_folder_for_its_log_names_the_variable_that_gives_one(
    tmp_path, monkeypatch
):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'file' / 'log'))
    ended = run_program('player')
    assert ended.returncode == 1, ended.stderr
    assert 'set ROS_LOG_DIR to a folder in which log files can be written' in ended.stderr
