# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The Markdown pages: links lead somewhere, commands have their options, examples run."""

from __future__ import annotations

import ast
import contextlib
from dataclasses import fields
import importlib
from importlib.util import find_spec
from pathlib import Path
import re
import shlex

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import COMMANDS, main
from superpoint_ros.features import Features
from superpoint_ros.resources import demo_photographs

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
    ROOT / 'models' / 'README.md',
    *sorted((ROOT / 'docs').glob('*.md')),
]
BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
WIDEST = 100

every_page = pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page, *languages):
    """Return the code blocks of a page that are in one of the languages."""
    text = page.read_text(encoding='utf-8')
    return [code for language, code in BLOCK.findall(text) if language in languages]


def prose(page):
    """Return the text of a page without its code blocks."""
    return BLOCK.sub('', page.read_text(encoding='utf-8'))


def anchors(page):
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r'^#+ (.*)$', prose(page), re.MULTILINE)
    plain = [re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings]
    return {heading.strip().replace(' ', '-') for heading in plain}


def own_commands(page):
    """Return the `superpoint ...` command lines of a page, split into words."""
    lines = []
    for code in blocks(page, 'bash', ''):
        for line in code.replace('\\\n', ' ').splitlines():
            if line.strip().startswith('superpoint '):
                # Brackets mark options that may be left out.
                lines.append(shlex.split(re.sub(r'[\[\]]', ' ', line), comments=True)[1:])
    return lines


@every_page
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r'\]\(([^)\s]+)\)', prose(page)):
        if target.startswith(('http://', 'https://')):
            continue
        file, _, anchor = target.partition('#')
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f'{target}: there is no such file'
        if anchor:
            assert anchor in anchors(path), f'{target}: there is no such heading'


@every_page
def test_names_that_link_to_modules_are_defined_there(page):
    for names, file in re.findall(r'\[`([\w.]+)`\]\(([^)\s]+\.py)\)', prose(page)):
        code = (page.parent / file).read_text(encoding='utf-8')
        for name in names.split('.'):
            assert re.search(rf'^ *(class|def) {name}\b', code, re.MULTILINE), f'{names}: {file}'


@every_page
def test_lines_of_prose_are_at_most_100_characters_long(page):
    # Rows of tables, pictures and links cannot be wrapped.
    wide = [
        line
        for line in prose(page).splitlines()
        if len(line) > WIDEST and not line.lstrip().startswith(('|', '![', '<!--'))
    ]
    assert not wide


@every_page
def test_options_in_command_examples_exist(page, capsys):
    for words in own_commands(page):
        command, *arguments = words
        if command.startswith('--'):
            continue
        assert command in COMMANDS, ' '.join(words)
        if command in ('adapt', 'train') and find_spec('jsonargparse') is None:
            continue
        options = [word.partition('=')[0] for word in arguments if word.startswith('--')]
        # These show the options of what follows them.
        subcommand = arguments[:1] if command in ('adapt', 'evaluate', 'train') else []
        with contextlib.suppress(SystemExit):
            main([command, *subcommand, '--help'])
        known = set(re.findall(r'--[\w.-]+', capsys.readouterr().out))
        # Recipes accept both spellings.
        known |= {name.replace('_', '-') for name in known}
        assert set(options) <= known, f'superpoint {" ".join(words)}'


@every_page
def test_python_examples_import_what_exists(page):
    for code in blocks(page, 'python'):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    pytest.importorskip(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f'{node.module}.{alias.name}'


def test_the_python_example_of_the_readme_runs(photograph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('photo.jpg', photograph)
    [code] = [code for code in blocks(ROOT / 'README.md', 'python') if 'Detector' in code]
    names = {}
    exec(code, names)
    assert 100 < len(names['features'].keypoints) <= 500


def test_the_example_with_an_own_detection_measures_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photographs = str(demo_photographs()[0].parent)
    words = ['--viewpoint', '1', '--illumination', '0', '--pairs', '1', '--longest-side', '320']
    assert main(['make-benchmark', photographs, '--out', 'runs/benchmark', *words]) == 0
    [code] = blocks(ROOT / 'docs' / 'paper.md', 'python')
    capsys.readouterr()
    exec(code, {})
    table = capsys.readouterr().out
    assert '| own | ' in table
    assert '| SIFT | ' in table


def test_recipe_values_on_the_training_page_exist():
    from superpoint_ros.common.settings_table import table_of
    from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
    from superpoint_ros.training.training_recipes import SuperPointRecipe

    page = prose(ROOT / 'docs' / 'training.md')
    recipes, labels = (page[page.index(f'\n## {name}') :] for name in ('Recipes', 'Labels'))
    rows = re.findall(r'^\| (`.*?) \|', recipes[: recipes.index('## Read')], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r'`(\w+)`', row)}
    assert len(named) > 20
    assert named <= {field.name for field in fields(SuperPointRecipe)}
    adaptation = {'longest_side', 'scales', 'corners', 'candidates', 'homographies'}
    assert all(f'`{name}`' in labels for name in adaptation)
    assert adaptation <= set(table_of(AdaptationRecipe))


def test_python_examples_read_a_message(random_features):
    pytest.importorskip('sensor_msgs')
    from std_msgs.msg import Header

    from superpoint_ros.ros.messages import feature_messages

    message = feature_messages.features_to_message(random_features, Header())
    with_package, without_package, matching, *_ = blocks(ROOT / 'docs' / 'consume.md', 'python')
    names = {'message': message}
    exec(with_package, names)
    np.testing.assert_array_equal(names['features'].descriptors, random_features.descriptors)
    exec(without_package, names)
    np.testing.assert_array_equal(names['points']['u'], random_features.keypoints[:, 0])
    np.testing.assert_array_equal(names['points']['descriptor'], random_features.descriptors)
    names |= {'first': random_features, 'second': random_features}
    exec(matching, names)
    assert names['matches'].tolist() == [[i, i] for i in range(len(random_features.keypoints))]


def test_python_examples_with_the_simulated_room_run():
    simulation = blocks(ROOT / 'docs' / 'simulation.md', 'python')[0]
    tracking = blocks(ROOT / 'docs' / 'consume.md', 'python')[-1]
    for code in (simulation, tracking):
        names = {}
        exec(re.sub(r'count=\d+', 'count=2', code), names)
        assert names['frame'].image.shape == (480, 640)
    assert len(names['tracks'].ids) > 50


@pytest.fixture
def random_features():
    rng = np.random.default_rng(0)
    descriptors = rng.normal(size=(20, 8)).astype(np.float32)
    return Features(
        keypoints=rng.uniform(0, 100, (20, 2)).astype(np.float32),
        scores=np.sort(rng.uniform(size=20).astype(np.float32))[::-1].copy(),
        descriptors=descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True),
    )
