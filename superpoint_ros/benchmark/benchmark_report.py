# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Report of the speed benchmark: JSON, Markdown tables, charts, and sections of a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
import textwrap
from typing import NamedTuple

from superpoint_ros.benchmark.benchmark_charts import (
    plot_frames,
    plot_node,
    plot_scaling,
    plot_start_up,
    plot_tracking,
    plot_training,
)
from superpoint_ros.benchmark.benchmark_tables import (
    frames_markdown,
    node_markdown,
    scaling_markdown,
    start_up_markdown,
    tracking_markdown,
    training_markdown,
)
from superpoint_ros.common.file_reading import read_text
from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.common.wording import counted
from superpoint_ros.evaluation.reports import write_result


class Part(NamedTuple):
    """One kind of measurement: its title, its tables and its chart."""

    title: str
    markdown: Callable[[Mapping], str]
    plot: Callable[[Mapping, Path], None]


PARTS = {
    'frames': Part('Whole frames', frames_markdown, plot_frames),
    'node': Part('From camera to subscriber', node_markdown, plot_node),
    'tracking': Part('Tracker and odometry', tracking_markdown, plot_tracking),
    'scaling': Part('Scaling', scaling_markdown, plot_scaling),
    'training': Part('Training', training_markdown, plot_training),
    'start': Part('Start', start_up_markdown, plot_start_up),
}


def write_report(machine: Mapping, results: Mapping, out: Path) -> list[Path]:
    """
    Write benchmark.json, benchmark.md and a chart of each part to `out`; return the files.

    `results` maps the names of parts to their measurements, and `unfinished` to how many of them
    were measured, if not all were.
    """
    parts = {name: results[name] for name in results if name in PARTS}
    text = [f'# Benchmark\n\n{machine_line(machine)}\n']
    for name, result in parts.items():
        part = PARTS[name]
        text.append(f'## {part.title}\n\n{part.markdown(result)}\n![]({name}.png)\n')
    charts = {name: out / f'{name}.png' for name in parts}
    measured = {'machine': machine, **results}
    files = write_result(out, 'benchmark', measured, '\n'.join(text), charts.values())
    for name, result in parts.items():
        PARTS[name].plot(result, charts[name])
    return files


def machine_line(machine: Mapping) -> str:
    """Return a sentence on the machine and its load."""
    versions = ', '.join(f'{name} {version}' for name, version in machine['versions'].items())
    cores, threads = (counted(machine[f'{each}s'], each) for each in ('core', 'thread'))
    text = (
        f'Measured on {machine["processor"]} ({machine["instructions"]}), {cores}, '
        f'{threads}, load average at the start {machine["load"]:.1f}; {versions}.'
    )
    return textwrap.fill(text, 100)


def update_document(document: Path, machine: Mapping, results: Mapping, out: Path) -> None:
    """
    Write the measurements into a document, and the charts into `images/` next to it.

    A section lies between the lines `<!-- benchmark: NAME -->` and `<!-- end -->`. Raises
    FileNotFoundError if there is no document, ValueError if it lacks a section. After an error,
    the document is unchanged, and each chart is the old or the new one.
    """
    text = read_text(document)
    images, pictures = document.parent / 'images', {}
    for name, result in results.items():
        picture = images / f'benchmark_{name}.png'
        content = (
            f'{machine_line(machine)}\n\n{PARTS[name].markdown(result)}\n'
            f'![{PARTS[name].title}](images/{picture.name})\n'
        )
        text = _replace_section(text, name, content, document)
        pictures[picture] = (out / f'{name}.png').read_bytes()
    for picture, content in pictures.items():
        write_atomically(picture.resolve(), content)
    write_atomically(document.resolve(), text.encode())


def check_document(document: Path, names: Iterable[str]) -> None:
    """
    Raise an error if `update_document` could not write the sections of these parts.

    FileNotFoundError without a document, ValueError if it lacks a section or is not a text,
    PermissionError if it cannot be written.
    """
    text = read_text(document)
    for name in names:
        _replace_section(text, name, '', document)
    with document.open('a'):
        pass


def _replace_section(text: str, name: str, content: str, document: Path) -> str:
    begin, end = f'<!-- benchmark: {name} -->\n', '<!-- end -->'
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f'{document} lacks the lines {begin.strip()} and {end} after it')
    return f'{before}{begin}{content}{end}{after}'
