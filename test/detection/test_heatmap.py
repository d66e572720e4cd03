# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from superpoint_ros.detection import nms as suppression
from superpoint_ros.detection.descriptors import dense_descriptors, sample_descriptors
from superpoint_ros.detection.heatmap import (
    detect_keypoints,
    heatmap_from_logits,
    suppress_non_maxima,
)
from superpoint_ros.detection.settings import DetectionSettings

PLAIN = DetectionSettings(border_margin=0, subpixel=False)


def suppress_slowly(heatmap, radius):
    """Return what greedy suppression keeps, taking the highest pixel again and again."""
    rest, kept = heatmap.copy(), np.zeros_like(heatmap)
    while rest.max() > 0:
        y, x = np.unravel_index(rest.argmax(), rest.shape)  # the first of equal ones
        kept[y, x] = rest[y, x]
        rest[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = 0
    return kept


def single_peaks(shape, peaks):
    heatmap = torch.zeros(1, *shape)
    for (x, y), score in peaks.items():
        heatmap[0, y, x] = score
    return heatmap


@given(
    radius=st.integers(0, 7),
    levels=st.sampled_from([1, 2, 5, 1000]),
    seed=st.integers(0, 2**16),
    shape=st.tuples(st.integers(1, 33), st.integers(1, 33)),
)
@settings(max_examples=60, deadline=None)
def test_suppression_is_exactly_the_greedy_one(radius, levels, seed, shape):
    # Few levels make plateaus and ties.
    heatmap = np.random.default_rng(seed).integers(0, levels + 1, (2, *shape)) / levels
    heatmap = heatmap.astype(np.float32)
    fast = suppress_non_maxima(torch.from_numpy(heatmap), radius).numpy()
    for got, source in zip(fast, heatmap, strict=True):
        np.testing.assert_array_equal(got, suppress_slowly(source, radius))


def test_a_plateau_gives_one_point_in_each_neighbourhood():
    heatmap = torch.zeros(1, 40, 40)
    heatmap[0, 10:15, 10:15] = 0.5
    [(keypoints, scores)] = detect_keypoints(heatmap, replace(PLAIN, nms_radius=4))
    assert keypoints.tolist() == [[10.0, 10.0]]
    assert scores.tolist() == [0.5]


def test_the_heatmap_lays_out_the_channels_as_the_cells_pixels():
    logits = torch.full((1, 65, 2, 3), -20.0)
    logits[:, 64] = 0  # the dustbin takes all ...
    logits[0, 8 * 5 + 2, 1, 2] = 20.0  # ... but of one cell: row 5, column 2
    heatmap = heatmap_from_logits(logits)
    assert heatmap.shape == (1, 16, 24)
    assert np.argwhere(heatmap[0].numpy() > 0.5).tolist() == [[8 + 5, 16 + 2]]


def test_huge_logits_do_not_overflow():
    logits = torch.zeros(1, 65, 1, 1)
    logits[0, 3] = 3e4
    assert heatmap_from_logits(logits.half())[0, 0, 3] == 1.0
    assert torch.isfinite(heatmap_from_logits(logits * 1e30)).all()


def test_a_cell_may_have_two_keypoints_and_none():
    heatmap = single_peaks((16, 16), {(0, 0): 0.4, (6, 6): 0.3})
    [(keypoints, _)] = detect_keypoints(heatmap, PLAIN)
    assert keypoints.tolist() == [[0.0, 0.0], [6.0, 6.0]]


def test_no_keypoint_and_one_keypoint_are_normal():
    [(keypoints, scores)] = detect_keypoints(torch.zeros(1, 16, 16), DetectionSettings())
    assert keypoints.shape == (0, 2)
    assert scores.shape == (0,)
    [(keypoints, scores)] = detect_keypoints(single_peaks((16, 16), {(7, 8): 0.5}), PLAIN)
    assert keypoints.tolist() == [[7.0, 8.0]]


def test_the_threshold_is_the_least_score():
    heatmap = single_peaks((32, 32), {(8, 8): 0.25, (24, 24): 0.2499})
    [(keypoints, _)] = detect_keypoints(heatmap, DetectionSettings(threshold=0.25))
    assert keypoints.tolist() == [[8.0, 8.0]]


def test_a_batch_with_unequal_counts_keeps_its_images_apart():
    batch = torch.cat(
        [
            single_peaks((32, 32), {(8, 8): 0.2, (20, 8): 0.9, (8, 20): 0.5}),
            torch.zeros(1, 32, 32),
            single_peaks((32, 32), {(9, 9): 0.3}),
        ]
    )
    first, second, third = detect_keypoints(batch, PLAIN)
    assert first[0].tolist() == [[20.0, 8.0], [8.0, 20.0], [8.0, 8.0]]
    assert first[1].tolist() == pytest.approx([0.9, 0.5, 0.2])
    assert second[0].shape == (0, 2)
    assert third[0].tolist() == [[9.0, 9.0]]


def test_only_the_best_are_kept_and_equal_ones_stand_in_reading_order():
    peaks = {(8, 8): 0.5, (30, 8): 0.5, (8, 30): 0.5, (30, 30): 0.7}
    wanted = DetectionSettings(max_keypoints=3, border_margin=0, subpixel=False)
    [(keypoints, _)] = detect_keypoints(single_peaks((40, 40), peaks), wanted)
    assert keypoints.tolist() == [[30.0, 30.0], [8.0, 8.0], [30.0, 8.0]]


def test_no_keypoint_lies_within_the_border_margin():
    heatmap = torch.rand(1, 40, 48, generator=torch.Generator().manual_seed(0))
    wanted = DetectionSettings(border_margin=6, nms_radius=1, subpixel=False)
    [(keypoints, _)] = detect_keypoints(heatmap, wanted)
    assert keypoints.min(dim=0).values.tolist() == [6.0, 6.0]
    assert keypoints.max(dim=0).values.tolist() == [41.0, 33.0]


def test_a_margin_wider_than_the_image_leaves_nothing():
    wanted = DetectionSettings(border_margin=100)
    [(keypoints, _)] = detect_keypoints(torch.ones(1, 16, 16), wanted)
    assert keypoints.shape == (0, 2)


def test_the_slope_of_a_maximum_under_the_mask_is_no_keypoint():
    heatmap = single_peaks((32, 32), {(15, 16): 0.9, (16, 16): 0.4, (26, 26): 0.2})
    mask = torch.ones(32, 32, dtype=torch.bool)
    mask[:, :16] = False
    [(keypoints, _)] = detect_keypoints(heatmap, PLAIN, mask)
    assert keypoints.tolist() == [[26.0, 26.0]]


def test_subpixel_finds_the_centre_of_a_smooth_peak():
    centre = torch.tensor([15.3, 12.8])
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing='ij')
    heatmap = 0.9 * torch.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 0.8**2))
    [(keypoints, _)] = detect_keypoints(heatmap[None], DetectionSettings(threshold=0.5))
    assert keypoints[0].tolist() == pytest.approx(centre.tolist(), abs=0.06)


def test_subpixel_at_the_border_stays_in_the_image():
    wanted = DetectionSettings(border_margin=0)
    [(keypoints, _)] = detect_keypoints(single_peaks((16, 16), {(0, 0): 0.5}), wanted)
    assert keypoints.tolist() == [[0.0, 0.0]]
    flat = torch.full((1, 16, 16), 0.5)
    [(keypoints, _)] = detect_keypoints(flat, wanted)
    assert keypoints[0].tolist() == [1.0, 1.0]  # the centroid of the 3x3 pixels that exist


def test_a_descriptor_at_a_cells_centre_is_the_cells():
    coarse = torch.randn(8, 3, 4, generator=torch.Generator().manual_seed(0))
    centres = torch.tensor([[8 * 2 + 3.5, 8 * 1 + 3.5], [3.5, 3.5]])
    sampled = sample_descriptors(coarse, centres)
    expected = torch.stack([coarse[:, 1, 2], coarse[:, 0, 0]])
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert torch.allclose(sampled, expected, atol=1e-6)


def test_descriptors_agree_with_the_papers_bicubic_map():
    # A smooth map, as a network's is: neighbouring cells overlap in most of what they see.
    coarse = torch.nn.functional.interpolate(
        torch.randn(1, 32, 4, 5, generator=torch.Generator().manual_seed(0)),
        scale_factor=4,
        mode='bicubic',
    )
    dense = dense_descriptors(coarse)
    assert dense.shape == (1, 32, 128, 160)
    rng = np.random.default_rng(0)
    keypoints = torch.from_numpy(rng.integers([0, 0], [160, 128], (300, 2))).float()
    sampled = sample_descriptors(coarse[0], keypoints)
    x, y = keypoints.long().T
    cosine = (sampled * dense[0, :, y, x].T).sum(dim=1)
    assert cosine.min() > 0.99
    assert cosine.mean() > 0.999


def test_no_descriptors_for_no_keypoints():
    assert sample_descriptors(torch.randn(8, 3, 4), torch.zeros(0, 2)).shape == (0, 8)


@pytest.mark.parametrize(
    ('values', 'error', 'message'),
    [
        ({'threshold': 1.5}, ValueError, 'threshold must lie between 0.0 and 1.0, got 1.5'),
        ({'threshold': float('nan')}, ValueError, 'threshold must lie between'),
        ({'threshold': '0.1'}, TypeError, "threshold must be a number .* got '0.1'"),
        ({'nms_radius': -1}, ValueError, 'nms_radius must lie between 0 and 64, got -1'),
        ({'nms_radius': 4.0}, TypeError, 'nms_radius must be a whole number'),
        ({'max_keypoints': 0}, ValueError, 'max_keypoints must lie between 1'),
        ({'border_margin': True}, TypeError, 'border_margin must be a whole number'),
        ({'subpixel': 1}, TypeError, 'subpixel must be true or false'),
        ({'grid_cells': 257}, ValueError, 'grid_cells must lie between 0 and 256, got 257'),
        (
            {'upscale_factor': 0.5},
            ValueError,
            'upscale_factor must lie between 1.0 and 4.0, got 0.5',
        ),
        (
            {'upscale_factor': '2'},
            TypeError,
            "upscale_factor must be a number from 1.0 to 4.0, got '2'",
        ),
        (
            {'descriptor_scales': 0},
            ValueError,
            'must lie between 1 and 4, got 0',
        ),
        ({'max_image_size': 63}, ValueError, r'must be 0 \(off\) or at least 64, got 63'),
    ],
)
def test_a_wrong_setting_is_named(values, error, message):
    with pytest.raises(error, match=message):
        DetectionSettings(**values)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r'\(B, 65, h, w\)'):
        heatmap_from_logits(torch.zeros(1, 64, 2, 2))
    with pytest.raises(ValueError, match=r'descriptors \(D, h, w\)'):
        sample_descriptors(torch.zeros(1, 8, 2, 2), torch.zeros(1, 2))


def test_a_grid_keeps_the_best_of_each_part_of_the_image_before_the_second_of_any():
    peaks = {(4, 4): 0.9, (12, 4): 0.8, (4, 12): 0.7, (36, 4): 0.3, (4, 36): 0.2, (36, 36): 0.1}
    heatmap = single_peaks((40, 40), peaks)
    wanted = DetectionSettings(max_keypoints=4, border_margin=0, subpixel=False)
    [(best, _)] = detect_keypoints(heatmap, wanted)
    [(spread, scores)] = detect_keypoints(heatmap, replace(wanted, grid_cells=2))
    assert best[:, 0].max() == 36.0
    assert (best > 20).all(dim=1).sum() == 0
    quarters = {(int(x > 20), int(y > 20)) for x, y in spread.tolist()}
    assert quarters == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert scores.tolist() == pytest.approx([0.9, 0.3, 0.2, 0.1])
    [(_, scores)] = detect_keypoints(heatmap, replace(wanted, grid_cells=2, max_keypoints=5))
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.3, 0.2, 0.1])


def test_a_grid_takes_nothing_away_where_all_keypoints_can_stay():
    heatmap = torch.rand(1, 40, 48, generator=torch.Generator().manual_seed(0))
    [(plain, _)] = detect_keypoints(heatmap, DetectionSettings())
    [(spread, _)] = detect_keypoints(heatmap, DetectionSettings(grid_cells=256))
    assert len(plain) > 5
    assert torch.equal(plain, spread)


def test_a_grid_counts_as_it_says_on_any_heatmap():
    generator = torch.Generator().manual_seed(2)
    heatmap = torch.rand(1, 200, 120, generator=generator) ** 4
    wanted = DetectionSettings(max_keypoints=50, grid_cells=5, nms_radius=2, border_margin=0)
    [(spread, scores)] = detect_keypoints(heatmap, wanted)
    assert len(spread) == 50
    assert (scores.diff() <= 0).all()
    cells = (spread + 0.5) / torch.tensor([120, 200]) * 5
    counts = torch.bincount(cells[:, 1].long() * 5 + cells[:, 0].long(), minlength=25)
    assert counts.tolist() == [2] * 25


@pytest.mark.parametrize('shape', [(1, 1, 1), (2, 1, 5), (1, 7, 9)])
def test_the_order_of_the_channels_in_memory_changes_nothing(shape):
    count, height, width = shape
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(count, 65, height, width, generator=generator)
    last = logits.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(heatmap_from_logits(last), heatmap_from_logits(logits), atol=1e-7)
    coarse = torch.randn(32, height, width, generator=generator)
    corners = [[0, 0], [8 * width - 1, 8 * height - 1], [-3, 2], [8 * width + 2, 1], [3.5, 3.5]]
    points = torch.rand(50, 2, generator=generator) * torch.tensor([8 * width, 8 * height])
    points = torch.cat([points, torch.tensor(corners)])
    rows = coarse.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    expected = sample_descriptors(coarse, points)
    assert torch.allclose(sample_descriptors(rows, points), expected, atol=2e-5)


def test_descriptors_pass_on_gradients_however_they_lie_in_memory():
    coarse = torch.randn(4, 5, 16, generator=torch.Generator().manual_seed(1))
    coarse.requires_grad_()
    sample_descriptors(coarse.permute(2, 0, 1), torch.tensor([[3.0, 4.0]])).sum().backward()
    assert (coarse.grad != 0).any()


@given(
    radius=st.integers(0, 9),
    levels=st.sampled_from([1, 3, 1000]),
    threshold=st.sampled_from([0.0, 0.3, 0.9]),
    seed=st.integers(0, 2**16),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(max_examples=60, deadline=None)
def test_suppression_one_by_one_and_all_at_once_keep_the_same(
    radius, levels, threshold, seed, shape
):
    values = np.random.default_rng(seed).integers(0, levels + 1, (2, *shape)) / levels
    heatmap = torch.from_numpy(values.astype(np.float32))
    candidates = torch.where(heatmap >= threshold, heatmap, 0.0)
    expected = torch.nonzero(suppression._suppress_densely(candidates, radius), as_tuple=True)
    found = suppression.find_peaks(heatmap, threshold, radius)
    assert [each.tolist() for each in found] == [each.tolist() for each in expected]


def test_mixed_precision_around_it_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    heatmap = torch.rand(1, 200, 300, generator=generator)
    coarse = torch.randn(8, 25, 38, generator=generator)
    ((points, scores),) = detect_keypoints(heatmap, DetectionSettings(threshold=0.9))
    with torch.autocast('cpu', torch.bfloat16):
        ((points_too, scores_too),) = detect_keypoints(heatmap, DetectionSettings(threshold=0.9))
        sampled = sample_descriptors(coarse, points_too)
    assert torch.equal(points_too, points)
    assert torch.equal(scores_too, scores)
    assert torch.equal(sampled, sample_descriptors(coarse, points))
