# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Features on rendered 3-D scenes: parallax, occlusion and moving light, with exact ground truth.

The best n keypoints of each view count. A keypoint is visible if the other view shows its surface
point. Repeatability: share of the visible keypoints of both views that have a keypoint of the
other view within 3 px of their true place there. Matches are mutual nearest neighbours; a match is
correct if the keypoint is visible and lies within 3 px of its match. Methods named 'wide' align
the views; their keypoints lie in the part that both show. MMA: correct matches as a share of all
matches. Matching score: correct matches as a share of the visible keypoints, mean of both views.
Pose: essential matrix by RANSAC (1 px); the error is the larger of the angles of rotation and of
the direction of translation in the second view. All numbers are means over pairs. A pair without
keypoints or matches counts 0, a pair without a pose has the largest error. The localisation error
is the mean distance of repeated keypoints, of those pairs that have some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from superpoint_ros.common.settings_table import table_of
from superpoint_ros.common.wording import counted
from superpoint_ros.data.scenes.correspondences import transfer
from superpoint_ros.data.scenes.pairs import RenderedPair
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.pair_metrics import (
    distances_to_nearest,
    EPSILON,
    matching_accuracy,
    mean_of,
    repeated_share,
    share_of_seen,
)
from superpoint_ros.evaluation.relative_pose import (
    estimate_pose,
    pose_error,
    PoseError,
    summarise_errors,
)
from superpoint_ros.evaluation.reports import (
    draw_matches_by_method,
    left_out,
    markdown_table,
    write_result,
)
from superpoint_ros.features import Features
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.visualization import write_picture

_COLUMNS = {
    'repeatability': 'rep',
    'localisation': 'loc px',
    'matching_accuracy': 'MMA',
    'matching_score': 'MS',
    'pose_auc_5': 'pose AUC 5',
    'pose_auc_10': 'pose AUC 10',
    'pose_auc_20': 'pose AUC 20',
}
_MEANS = ('repeatability', 'matching_accuracy', 'matching_score', 'matches', 'points')


def evaluate_scenes(
    methods: Sequence[Method],
    pairs: Iterable[RenderedPair],
    keypoints: int,
    on_pair: Callable[[Callable[[], dict]], object] = lambda _: None,
) -> dict:
    """
    Return the measurements as a dictionary for JSON.

    `result['methods'][name]` has the means by name, the areas under the pose error curve and the
    number of `pairs`; `result['pairs']` has the measurements of each pair, with the name of its
    file or its number as `pair`. `on_pair` is called after each pair with a function that returns
    this dictionary of the pairs so far. Raises ValueError for a bad number of keypoints or without
    pairs.
    """
    table_of(DetectionSettings)['max_keypoints'].check(keypoints)
    rows: list[dict] = []

    def result() -> dict:
        return {
            'protocol': ' '.join(__doc__.split()),
            'keypoints': keypoints,
            'methods': {
                method.name: _summarise([row for row in rows if row['method'] == method.name])
                for method in methods
            },
            'pairs': rows,
        }

    for number, pair in enumerate(pairs):
        rows += [_measure(method, number, pair, keypoints) for method in methods]
        on_pair(result)
    if not rows:
        raise ValueError('no rendered pairs to evaluate')
    return result()


def _measure(method: Method, number: int, pair: RenderedPair, keypoints: int) -> dict:
    """Return the measurements of a method on a pair with this number."""
    a, b, matches, correct = match_views(method, pair, keypoints)
    error = measure_pose(pair, a, b, matches)
    return {
        'method': method.name,
        'pair': pair.name or number,
        'scene': pair.scene,
        **measure_features(pair, a, b, correct),
        'rotation_error': error.rotation,
        'direction_error': error.direction,
    }


def match_views(
    method: Method, pair: RenderedPair, keypoints: int
) -> tuple[Features, Features, np.ndarray, np.ndarray]:
    """
    Return the features of both views, at most `keypoints` each, and their matches.

    Matches are those of the method, or mutual nearest neighbours: int (K, 2), indices into the
    keypoints of both views, and bool (K,), whether each is correct.
    """
    if method.match:
        a, b, matches, *_ = method.match(pair.first.image, pair.second.image)
    else:
        a, b = (method.find(view.image).best(keypoints) for view in (pair.first, pair.second))
        matches = match_mutual(a.descriptors, b.descriptors)
    places, visible = transfer(a.keypoints[matches[:, 0]], *pair.depth_views(), pair.pose)
    distances = np.linalg.norm(places - b.keypoints[matches[:, 1]], axis=1)
    correct = visible & (np.nan_to_num(distances, nan=np.inf) <= EPSILON)
    return a, b, matches, correct


def measure_features(
    pair: RenderedPair, a: Features, b: Features, correct: np.ndarray
) -> dict[str, float | None]:
    """
    Return the measurements of one pair by name, without its pose.

    `correct`, bool (K,), has the matches. `localisation` is None if no keypoint is repeated.
    """
    views = pair.depth_views()
    in_b, visible_a = transfer(a.keypoints, *views, pair.pose)
    in_a, visible_b = transfer(b.keypoints, *views[::-1], np.linalg.inv(pair.pose))
    repeated, localisation = repeated_share(
        [
            distances_to_nearest(in_b[visible_a], b.keypoints),
            distances_to_nearest(in_a[visible_b], a.keypoints),
        ]
    )
    return {
        'repeatability': repeated,
        'localisation': localisation,
        'matching_accuracy': matching_accuracy(correct),
        'matching_score': share_of_seen(correct, int(visible_a.sum()), int(visible_b.sum())),
        'matches': len(correct),
        'points': (len(a) + len(b)) / 2,
    }


def measure_pose(pair: RenderedPair, a: Features, b: Features, matches: np.ndarray) -> PoseError:
    """Return the error of the relative pose that matches (K, 2) give."""
    focal_length = pair.camera.focal_length
    centre = pair.camera.matrix[:2, 2]
    rays = [
        (features.keypoints[chosen] - centre) / focal_length
        for features, chosen in zip((a, b), matches.T, strict=True)
    ]
    return pose_error(estimate_pose(*rays, focal_length).pose, pair.pose)


def _summarise(rows: Sequence[dict]) -> dict[str, float | None]:
    """Return the means of pairs' measurements and the areas of their poses' errors."""
    poses = [PoseError(row['rotation_error'], row['direction_error']) for row in rows]
    return {
        **{name: mean_of(rows, name) for name in (*_MEANS, 'localisation')},
        **{f'pose_{name}': value for name, value in summarise_errors(poses).items()},
        'pairs': len(rows),
    }


def write_scenes_report(
    result: Mapping, methods: Sequence[Method], shown: Sequence[RenderedPair], out: Path
) -> list[Path]:
    """
    Write JSON, a table and pictures of matches to the folder `out`; return the files.

    The pictures show the matches of each method in each pair in `shown`.
    """
    head = f'# Rendered 3-D scenes\n\n{result["protocol"]}\n\n'
    head += f'At most {counted(result["keypoints"], "keypoint")}.\n\n{left_out(result)}'
    pictures = [out / f'matches_{number}_{pair.scene}.png' for number, pair in enumerate(shown)]
    files = write_result(out, 'scenes', result, head + scenes_table(result), pictures)
    for path, pair in zip(pictures, shown, strict=True):
        write_picture(path, picture_of_scene_matches(pair, methods, result['keypoints']))
    return files


def scenes_table(result: Mapping) -> str:
    """Return the table: a row for each method."""
    rows = [
        [name, *(measured[key] for key in _COLUMNS), measured['pairs']]
        for name, measured in result['methods'].items()
    ]
    return markdown_table(['method', *_COLUMNS.values(), 'pairs'], rows)


def picture_of_scene_matches(
    pair: RenderedPair, methods: Sequence[Method], keypoints: int
) -> np.ndarray:
    """Return the matches of each method in a pair; correct ones green, wrong ones red."""
    matched = {}
    for method in methods:
        a, b, *matches = match_views(method, pair, keypoints)
        matched[method.name] = (a.keypoints, b.keypoints, *matches)
    return draw_matches_by_method(pair.first.image, pair.second.image, matched)
