# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The reports of measurements remain complete."""

from __future__ import annotations

import resource

import pytest

from superpoint_ros.evaluation.reports import markdown_table, write_result


def test_a_report_that_cannot_be_written_leaves_the_previous_one(tmp_path):
    files = write_result(tmp_path, 'benchmark', {'first part': 1}, '# Benchmark')
    before = [file.read_bytes() for file in files]
    larger = {'first part': 1, 'second part': [0.5] * 1000}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match='File too large'):
            write_result(tmp_path, 'benchmark', larger, '# Benchmark')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.read_bytes() for file in files] == before
    assert len(list(tmp_path.iterdir())) == 2


def test_tables_align_numbers_right_with_three_decimals_and_a_dash_for_none():
    rows = [['a', 0.12345, 7], ['b', None, '1.5']]
    assert markdown_table(['name', 'share', 'count'], rows) == (
        '| name | share | count |\n| --- | ---: | ---: |\n| a | 0.123 | 7 |\n| b | - | 1.5 |\n'
    )
