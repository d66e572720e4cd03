# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What both implementations promise of keypoints in a heatmap."""

from dataclasses import replace

from numba import njit
import numpy as np
import pytest
import torch

from superpoint_ros.detection import cpu_heatmap
from superpoint_ros.detection.cpu import keypoints_in_heatmap
from superpoint_ros.detection.heatmap import heatmap_from_logits
from superpoint_ros.detection.pipeline import find_keypoints, pixel_coordinates
from superpoint_ros.detection.settings import DetectionSettings

PLAIN = DetectionSettings(keypoints='heatmap', border_margin=0, subpixel=False)


def by_tensors(heatmap, settings, mask=None):
    steps = find_keypoints(
        torch.from_numpy(heatmap)[None],
        None,
        settings,
        mask=None if mask is None else torch.from_numpy(mask)[None],
    )
    assert not steps.undecided.any()
    used = steps.scores[0] > 0
    return steps.keypoints[0, used].numpy(), steps.scores[0, used].numpy()


both = pytest.mark.parametrize('detect', [by_tensors, keypoints_in_heatmap])


def single_peaks(shape, peaks):
    heatmap = np.zeros(shape, np.float32)
    for (x, y), score in peaks.items():
        heatmap[y, x] = score
    return heatmap


def random_heatmap(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


@both
def test_a_plateau_gives_one_point_in_each_neighbourhood(detect):
    heatmap = np.zeros((40, 40), np.float32)
    heatmap[10:15, 10:15] = 0.5
    keypoints, scores = detect(heatmap, replace(PLAIN, nms_radius=4))
    assert keypoints.tolist() == [[10.0, 10.0]]
    assert scores.tolist() == [0.5]


def heatmap_of_loops(logits):
    """Return the heatmap by the compiled loops, for logits (B, 65, h, w)."""
    size = tuple(8 * side for side in logits.shape[2:])
    cells = logits.float().permute(0, 2, 3, 1).numpy()
    return torch.from_numpy(
        np.stack([cpu_heatmap.heatmap_from_logits(each, size) for each in cells])
    )


heatmaps = pytest.mark.parametrize('make_heatmap', [heatmap_from_logits, heatmap_of_loops])


@heatmaps
def test_the_heatmap_lays_out_the_channels_as_the_pixels_of_cells(make_heatmap):
    logits = torch.full((1, 65, 2, 3), -20.0)
    logits[:, 64] = 0  # the dustbin takes all ...
    logits[0, 8 * 5 + 2, 1, 2] = 20.0  # ... but of one cell: row 5, column 2
    heatmap = make_heatmap(logits)
    assert heatmap.shape == (1, 16, 24)
    assert np.argwhere(heatmap[0].numpy() > 0.5).tolist() == [[8 + 5, 16 + 2]]


@heatmaps
def test_huge_logits_do_not_overflow(make_heatmap):
    logits = torch.zeros(1, 65, 1, 1)
    logits[0, 3] = 3e4
    assert make_heatmap(logits.half())[0, 0, 3] == 1.0
    assert torch.isfinite(make_heatmap(logits * 1e30)).all()


@pytest.mark.parametrize('shape', [(1, 1, 1), (2, 1, 5), (1, 7, 9)])
def test_heatmaps_of_both_implementations_are_the_same(shape):
    count, height, width = shape
    generator = torch.Generator().manual_seed(1)
    logits = 5 * torch.randn(count, 65, height, width, generator=generator)
    expected = logits.double().softmax(dim=1)[:, :-1]
    expected = torch.nn.functional.pixel_shuffle(expected, 8)[:, 0].float()
    last = logits.contiguous(memory_format=torch.channels_last)
    for given in (logits, last):
        assert torch.allclose(heatmap_from_logits(given), expected, rtol=1e-5, atol=1e-9)
        assert torch.allclose(heatmap_of_loops(given), expected, rtol=1e-5, atol=1e-9)


def test_the_exponential_is_exact_to_the_rounding():
    part, terms = cpu_heatmap._exp, cpu_heatmap._EXP_TERMS
    exponential = njit(lambda value: part(value, terms))  # only compiled code may call a part
    x = -np.concatenate([np.linspace(0, 87, 1000), [0, 1e-7, 0.34657, 0.34658]])
    found = [exponential(np.float32(each)) for each in x]
    # An argument of -87 is itself rounded by 4e-6.
    np.testing.assert_allclose(found, np.exp(x.astype(np.float32).astype(float)), rtol=1e-5)
    near = x > -2
    exact = np.exp(x.astype(np.float32).astype(float))
    np.testing.assert_allclose(np.array(found)[near], exact[near], rtol=5e-7)
    assert exponential(np.float32(-1e30)) < 1e-37


@both
def test_a_cell_may_have_two_keypoints_and_none(detect):
    keypoints, _ = detect(single_peaks((16, 16), {(0, 0): 0.4, (6, 6): 0.3}), PLAIN)
    assert keypoints.tolist() == [[0.0, 0.0], [6.0, 6.0]]


@both
def test_no_keypoint_and_one_keypoint_are_normal(detect):
    keypoints, scores = detect(np.zeros((16, 16), np.float32), PLAIN)
    assert keypoints.shape == (0, 2)
    assert scores.shape == (0,)
    keypoints, scores = detect(single_peaks((16, 16), {(7, 8): 0.5}), PLAIN)
    assert keypoints.tolist() == [[7.0, 8.0]]


@both
def test_the_threshold_is_the_lowest_score(detect):
    heatmap = single_peaks((32, 32), {(8, 8): 0.25, (24, 24): 0.2499})
    keypoints, _ = detect(heatmap, replace(PLAIN, threshold=0.25))
    assert keypoints.tolist() == [[8.0, 8.0]]


def test_a_batch_with_unequal_counts_keeps_its_images_apart():
    batch = np.stack(
        [
            single_peaks((32, 32), {(8, 8): 0.2, (20, 8): 0.9, (8, 20): 0.5}),
            np.zeros((32, 32), np.float32),
            single_peaks((32, 32), {(9, 9): 0.3}),
        ]
    )
    steps = find_keypoints(torch.from_numpy(batch), None, replace(PLAIN, max_keypoints=4))
    assert (steps.scores > 0).sum(dim=1).tolist() == [3, 0, 1]
    assert steps.keypoints[0, :3].tolist() == [[20.0, 8.0], [8.0, 20.0], [8.0, 8.0]]
    assert steps.scores[0].tolist() == pytest.approx([0.9, 0.5, 0.2, 0])
    assert steps.keypoints[2, 0].tolist() == [9.0, 9.0]


@both
def test_only_the_best_keypoints_are_kept(detect):
    peaks = {(8, 8): 0.5, (30, 8): 0.6, (8, 30): 0.4, (30, 30): 0.7}
    keypoints, _ = detect(single_peaks((40, 40), peaks), replace(PLAIN, max_keypoints=3))
    assert keypoints.tolist() == [[30.0, 30.0], [30.0, 8.0], [8.0, 8.0]]


def test_on_a_cpu_equal_scores_stand_in_reading_order():
    peaks = {(8, 8): 0.5, (30, 8): 0.5, (8, 30): 0.5, (30, 30): 0.7}
    few = replace(PLAIN, max_keypoints=3)
    keypoints, _ = keypoints_in_heatmap(single_peaks((40, 40), peaks), few)
    assert keypoints.tolist() == [[30.0, 30.0], [8.0, 8.0], [30.0, 8.0]]


@both
def test_no_keypoint_lies_within_the_border_margin(detect):
    keypoints, _ = detect(random_heatmap(40, 48), replace(PLAIN, border_margin=6, nms_radius=1))
    assert keypoints.min(axis=0).tolist() == [6.0, 6.0]
    assert keypoints.max(axis=0).tolist() == [41.0, 33.0]


@both
def test_a_margin_wider_than_the_image_leaves_nothing(detect):
    keypoints, _ = detect(np.ones((16, 16), np.float32), replace(PLAIN, border_margin=100))
    assert keypoints.shape == (0, 2)


@both
def test_the_slope_of_a_maximum_under_the_mask_is_not_a_keypoint(detect):
    heatmap = single_peaks((32, 32), {(15, 16): 0.9, (16, 16): 0.4, (26, 26): 0.2})
    mask = np.ones((32, 32), bool)
    mask[:, :16] = False
    keypoints, _ = detect(heatmap, PLAIN, mask)
    assert keypoints.tolist() == [[26.0, 26.0]]


@both
def test_subpixel_finds_the_centre_of_a_smooth_peak(detect):
    centre = np.array([15.3, 12.8])
    y, x = np.mgrid[:32, :32]
    squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    heatmap = (0.9 * np.exp(-squared / (2 * 0.8**2))).astype(np.float32)
    keypoints, _ = detect(heatmap, replace(PLAIN, threshold=0.5, subpixel=True))
    assert keypoints[0].tolist() == pytest.approx(centre.tolist(), abs=0.06)


@both
def test_subpixel_at_the_border_stays_in_the_image(detect):
    wanted = replace(PLAIN, subpixel=True)
    keypoints, _ = detect(single_peaks((16, 16), {(0, 0): 0.5}), wanted)
    assert keypoints.tolist() == [[0.0, 0.0]]
    flat = np.full((16, 16), 0.5, np.float32)
    # The centroid of the 3x3 pixels that exist.
    assert [1.0, 1.0] in detect(flat, wanted)[0].tolist()


@pytest.mark.parametrize('shape', [(1, 64, 2, 2), (2, 65, 2)])
def test_wrong_shape_of_logits_is_named(shape):
    with pytest.raises(ValueError, match=r'\(B, 65, h, w\)'):
        heatmap_from_logits(torch.zeros(shape))


@both
def test_a_grid_keeps_the_best_of_each_cell_before_the_second_of_any(detect):
    peaks = {(4, 4): 0.9, (12, 4): 0.8, (4, 12): 0.7, (36, 4): 0.3, (4, 36): 0.2, (36, 36): 0.1}
    heatmap = single_peaks((40, 40), peaks)
    wanted = replace(PLAIN, max_keypoints=4)
    best, _ = detect(heatmap, wanted)
    spread, scores = detect(heatmap, replace(wanted, grid_cells=2))
    assert best[:, 0].max() == 36.0
    assert (best > 20).all(axis=1).sum() == 0
    quarters = {(int(x > 20), int(y > 20)) for x, y in spread.tolist()}
    assert quarters == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert scores.tolist() == pytest.approx([0.9, 0.3, 0.2, 0.1])
    _, scores = detect(heatmap, replace(wanted, grid_cells=2, max_keypoints=5))
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.3, 0.2, 0.1])


@both
def test_a_grid_removes_nothing_if_all_keypoints_can_stay(detect):
    heatmap = random_heatmap(40, 48)
    plain, _ = detect(heatmap, PLAIN)
    spread, _ = detect(heatmap, replace(PLAIN, grid_cells=256))
    assert len(plain) > 5
    np.testing.assert_array_equal(plain, spread)


@both
def test_a_grid_spreads_keypoints_evenly_on_any_heatmap(detect):
    heatmap = random_heatmap(200, 120, seed=2) ** 4
    wanted = replace(PLAIN, max_keypoints=50, grid_cells=5, nms_radius=2)
    spread, scores = detect(heatmap, wanted)
    assert len(spread) == 50
    assert (np.diff(scores) <= 0).all()
    columns, rows = ((spread + 0.5) / [120, 200] * 5).astype(int).T
    assert np.bincount(rows * 5 + columns, minlength=25).tolist() == [2] * 25


def test_mixed_precision_does_not_change_keypoints():
    heatmap = torch.from_numpy(random_heatmap(200, 300))[None]
    wanted = replace(PLAIN, threshold=0.9, subpixel=True)
    steps = find_keypoints(heatmap, None, wanted)
    with torch.autocast('cpu', torch.bfloat16):
        mixed = find_keypoints(heatmap, None, wanted)
    assert torch.equal(mixed.keypoints, steps.keypoints)
    assert torch.equal(mixed.scores, steps.scores)


def test_coordinates_far_into_a_large_image_are_exact():
    # Neither float32 division nor 16-bit indices would be exact there.
    pixels = torch.tensor([[4000 * 2999 - 1, 4000 * 2999, 4000 * 3000 - 1]])
    x, y = pixel_coordinates(pixels, 3000, 4000)
    assert x.tolist() == [[3999, 0, 3999]]
    assert y.tolist() == [[2998, 2999, 2999]]
