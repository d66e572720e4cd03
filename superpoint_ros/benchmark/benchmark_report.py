# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Measurements as files: JSON, Markdown and pictures; and as sections of a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
import shutil
from typing import NamedTuple

from superpoint_ros.benchmark import plots, tables
from superpoint_ros.evaluation.reports import write_json


class Part(NamedTuple):
    """One kind of measurement: its title and how it is shown."""

    title: str
    markdown: Callable[[Mapping], str]
    plot: Callable[[Mapping, Path], None]


PARTS = {
    'frames': Part('Whole frames', tables.frames_markdown, plots.plot_frames),
    'node': Part('From camera to subscriber', tables.node_markdown, plots.plot_node),
    'scaling': Part('Scaling', tables.scaling_markdown, plots.plot_scaling),
    'training': Part('Training', tables.training_markdown, plots.plot_training),
}


def write_report(machine: Mapping, results: Mapping, out: Path) -> list[Path]:
    """
    Return the files written to the folder `out`: benchmark.json and .md, and a picture a part.

    `results` are what was measured by part.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = [out / 'benchmark.json', out / 'benchmark.md']
    write_json(files[0], {'machine': machine, **results})
    text = [f'# Benchmark\n\n{machine_line(machine)}\n']
    for name, result in results.items():
        part = PARTS[name]
        picture = out / f'{name}.png'
        part.plot(result, picture)
        files.append(picture)
        text.append(f'## {part.title}\n\n{part.markdown(result)}\n![]({picture.name})\n')
    files[1].write_text('\n'.join(text), encoding='utf-8')
    return files


def machine_line(machine: Mapping) -> str:
    """Return where it was measured, in a sentence."""
    versions = ', '.join(f'{name} {version}' for name, version in machine['versions'].items())
    return (
        f'Measured on {machine["processor"]} ({machine["instructions"]}), {machine["cores"]} '
        f'cores, {machine["threads"]} threads, {machine["load"]:.1f} of the cores busy with other '
        f'work when it began; {versions}.'
    )


def update_document(document: Path, machine: Mapping, results: Mapping, out: Path) -> None:
    """
    Put what was measured into a document, and its pictures into `images/` beside it.

    A section stands between the lines `<!-- benchmark: NAME -->` and `<!-- end -->`. Raises
    FileNotFoundError where there is no document, ValueError where it lacks a section.
    """
    text = document.read_text(encoding='utf-8')
    images = document.parent / 'images'
    for name, result in results.items():
        picture = images / f'benchmark_{name}.png'
        content = (
            f'{machine_line(machine)}\n\n{PARTS[name].markdown(result)}\n'
            f'![{PARTS[name].title}](images/{picture.name})\n'
        )
        text = _replace_section(text, name, content, document)
        images.mkdir(exist_ok=True)
        shutil.copyfile(out / f'{name}.png', picture)
    document.write_text(text, encoding='utf-8')


def _replace_section(text: str, name: str, content: str, document: Path) -> str:
    begin, end = f'<!-- benchmark: {name} -->\n', '<!-- end -->'
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f'{document} lacks the lines {begin.strip()} and {end} after it')
    return f'{before}{begin}{content}{end}{after}'
