# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The measurements on synthetic shapes as tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from superpoint_ros.data.synthetic_shapes.shapes import SHAPES, SHAPES_WITHOUT_POINTS
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.detection_metrics import match_to_truth
from superpoint_ros.evaluation.reports import bar_chart, markdown_table, write_json
from superpoint_ros.evaluation.shapes_benchmark import CONDITIONS, EPSILON, shape_sample
from superpoint_ros.geometry.homography import scaling, warp_points
from superpoint_ros.visualization import contact_sheet, draw_keypoints, GREEN, RED, write_picture

_BLUE, _ENLARGED = (230, 150, 40), 3


def write_shapes_report(result: Mapping, shown: Method, out: Path) -> list[Path]:
    """
    Return the files written to the folder `out`: the numbers as JSON, tables, and two pictures.

    `shown` is the method whose detections the pictures of examples show.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / 'shapes.json', result)
    (out / 'shapes.md').write_text(shapes_markdown(result), encoding='utf-8')
    write_picture(out / 'shapes.png', _charts(result))
    write_picture(out / 'shapes_examples.png', _examples(result, shown))
    return [
        out / name for name in ('shapes.json', 'shapes.md', 'shapes.png', 'shapes_examples.png')
    ]


def shapes_markdown(result: Mapping) -> str:
    """Return the tables: all categories together, then each."""
    methods = result['methods']
    rows = [
        [name] + [by[condition][key] for key in _OVERALL for condition in CONDITIONS]
        for name, by in methods.items()
    ]
    header = ['method'] + [f'{title}, {c}' for title in _OVERALL.values() for c in CONDITIONS]
    parts = ['# Synthetic shapes\n', result['protocol'] + '\n', _setting(result) + '\n']
    parts.append(markdown_table(header, rows))
    for key, title in _BY_CATEGORY.items():
        without = key == 'false_per_image'
        rows = [
            [category]
            + [by[c]['categories'][category][key] for by in methods.values() for c in CONDITIONS]
            for category in SHAPES
            if (category in SHAPES_WITHOUT_POINTS) == without
        ]
        header = ['category'] + [f'{name}, {c}' for name in methods for c in CONDITIONS]
        parts += [f'## {title}\n', markdown_table(header, rows)]
    return '\n'.join(parts)


_OVERALL = {
    'map': 'mAP',
    'localisation': 'localisation (px)',
    'false_per_image': 'false detections per image without points',
}
_BY_CATEGORY = {
    'average_precision': 'Average precision',
    'localisation': 'Localisation error (px)',
    'false_per_image': 'False detections per image without points',
}


def _setting(result: Mapping) -> str:
    """Return a sentence on the test set."""
    return (
        f'{result["images_per_category"]} images of 160x120 px for each category, '
        f'seed {result["seed"]}.'
    )


def _charts(result: Mapping) -> np.ndarray:
    """Return a picture of the average precision by category, clean above noisy."""
    categories = [name for name in SHAPES if name not in SHAPES_WITHOUT_POINTS]
    charts = []
    for condition in CONDITIONS:
        series = {}
        for name, by in result['methods'].items():
            of = by[condition]['categories']
            values = [of[category]['average_precision'] for category in categories]
            series[name] = [by[condition]['map'], *values]
        title = f'Average precision on synthetic shapes, {condition}'
        charts.append(bar_chart(title, ['mean (mAP)', *categories], series))
    return np.vstack(charts)


def _examples(result: Mapping, shown: Method) -> np.ndarray:
    """Return two images of each category and condition: the truth in blue, what is found."""
    pictures, captions = [], []
    for category in SHAPES:
        for condition in CONDITIONS:
            threshold = result['methods'][shown.name][condition]['threshold']
            for index in range(min(2, result['images_per_category'])):
                sample = shape_sample(category, index, result['seed'], condition)
                features = shown.find(sample.image)
                limit = np.inf if threshold is None else threshold
                found = features.keypoints[features.scores >= limit]
                pictures.append(_picture(sample.image, sample.points, found))
                captions.append(f'{category}, {condition}')
    columns = len(CONDITIONS) * min(2, result['images_per_category'])
    return contact_sheet(pictures, columns=columns, captions=captions)


def _picture(image: np.ndarray, truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the image enlarged: rings blue at the truth, green and red at right and wrong."""
    large = cv2.resize(image, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_NEAREST)
    enlarge = scaling(_ENLARGED)
    right = np.isfinite(match_to_truth(found, truth, EPSILON))
    large = draw_keypoints(large, warp_points(truth, enlarge), _BLUE, radius=9)
    large = draw_keypoints(large, warp_points(found[right], enlarge), GREEN, radius=4)
    return draw_keypoints(large, warp_points(found[~right], enlarge), RED, radius=4)
