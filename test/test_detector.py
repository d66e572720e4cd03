# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Detectors find keypoints and descriptors in images of any size, form and mask."""

from dataclasses import replace
from pathlib import Path
import pickle

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from superpoint_ros import DetectionSettings, Detector
from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.network_arrays import WeightsError
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata

TINY = SuperPointConfig((4, 6, 8, 10), 12, 16)


def lively_model(config=TINY, seed=0):
    """Return a network with random weights whose heatmaps and descriptors vary."""
    torch.manual_seed(seed)
    model = SuperPoint(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 4:
                torch.nn.init.kaiming_normal_(parameter)
            if name == 'convPb.weight':
                parameter *= 3
    return model


def photograph(width, height, seed=0):
    """Return a smooth random picture."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (height // 4 + 2, width // 4 + 2), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope='module')
def detector():
    return Detector.from_model(
        lively_model(), device='cpu', engine='torch', threshold=0.02, max_keypoints=50_000
    )


def as_set(features, offset=(0, 0), inside=None):
    """Return keypoints rounded to a thousandth, as a set, of those inside (x0, y0, x1, y1)."""
    points = features.keypoints + np.asarray(offset)
    if inside:
        x0, y0, x1, y1 = inside
        points = points[
            (points[:, 0] >= x0) & (points[:, 1] >= y0) & (points[:, 0] < x1) & (points[:, 1] < y1)
        ]
    return {tuple(point) for point in np.round(points, 2).tolist()}


def assert_near(found, expected):
    """Assert that two sets of points are equal except for rounding."""
    assert len(found) == len(expected)
    found, expected = (np.array(sorted(points)) for points in (found, expected))
    distance = np.abs(found[:, None] - expected[None]).max(axis=2)
    assert distance.min(axis=1).max() < 0.015
    assert distance.min(axis=0).max() < 0.015


# Pixels further from a border than the receptive field do not depend on what lies beyond it.
REACH = 64


@given(st.integers(0, 2), st.integers(0, 2), st.integers(0, 100))
@settings(max_examples=8, deadline=None)
def test_shifting_an_image_by_whole_cells_shifts_its_keypoints(detector, right, down, seed):
    dx, dy = 8 * right, 8 * down
    image = photograph(320, 280, seed)
    moved = image[dy:, dx:]
    height, width = moved.shape
    inside = (REACH, REACH, width - REACH, height - REACH)
    expected = as_set(detector(image), (-dx, -dy), inside)
    assert len(expected) > 5
    assert_near(as_set(detector(moved), (0, 0), inside), expected)


@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 100))
@settings(max_examples=8, deadline=None)
def test_cropping_right_and_bottom_moves_no_keypoint(detector, cut_x, cut_y, seed):
    image = photograph(240, 232, seed)
    cropped = np.ascontiguousarray(image[: 232 - cut_y, : 240 - cut_x])
    inside = (0, 0, 240 - REACH - 8, 232 - REACH - 8)
    expected = as_set(detector(image), inside=inside)
    assert len(expected) > 5
    assert_near(as_set(detector(cropped), inside=inside), expected)


@given(st.integers(16, 90), st.integers(16, 90))
@settings(max_examples=25, deadline=None)
def test_images_of_any_size_give_keypoints_inside_them_with_unit_descriptors(
    detector, width, height
):
    features = detector(photograph(width, height))
    assert (features.keypoints >= 0).all()
    assert (features.keypoints <= [width - 1, height - 1]).all()
    assert (np.diff(features.scores) <= 0).all()
    assert features.descriptors.shape == (len(features), 16)
    assert np.linalg.norm(features.descriptors, axis=1) == pytest.approx(1, abs=1e-5)
    assert detector.heatmap(photograph(width, height)).shape == (height, width)


def test_a_large_image_has_keypoints_everywhere(detector):
    features = detector(photograph(4000, 3000))
    assert len(features) > 1000
    assert features.keypoints.max(axis=0) == pytest.approx([4000, 3000], rel=0.05)


def test_a_mask_of_zeros_gives_empty_features(detector):
    features = detector(photograph(64, 48), mask=np.zeros((48, 64), np.uint8))
    assert features.keypoints.shape == (0, 2)
    assert features.scores.shape == (0,)
    assert features.descriptors.shape == (0, 16)


def test_keypoints_are_where_the_mask_allows_them(detector):
    image, mask = photograph(160, 120), np.zeros((120, 160), bool)
    mask[40:80, 50:100] = True
    masked, free = detector(image, mask=mask), detector(image)
    found = masked.keypoints
    assert 0 < len(found) < len(free)
    # A point may be moved by refinement, but its pixel was allowed.
    assert (found >= [50 - 2, 40 - 2]).all()
    assert (found <= [99 + 2, 79 + 2]).all()


def test_a_list_of_images_of_any_sizes_gives_a_list_of_features_in_order(detector):
    images = [photograph(80, 64, 1), photograph(64, 48, 2), photograph(80, 64, 3)]
    images.append(np.zeros((48, 64), np.uint8))
    together = detector(images)
    assert len({len(features) for features in together}) > 1
    for features, image in zip(together, images, strict=True):
        alone = detector(image)
        np.testing.assert_allclose(features.keypoints, alone.keypoints, atol=1e-3)
        np.testing.assert_allclose(features.descriptors, alone.descriptors, atol=1e-4)
    assert detector([]) == []


def test_bgr_images_give_the_keypoints_of_gray_ones(detector):
    gray = photograph(80, 64)
    color = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
    assert as_set(detector(color)) == as_set(detector(gray)) == as_set(detector(gray[..., None]))


def test_images_with_padded_rows_are_accepted_and_not_changed(detector):
    wide = photograph(96, 64)
    view = wide[:, :80]
    before = wide.copy()
    assert as_set(detector(view)) == as_set(detector(view.copy()))
    np.testing.assert_array_equal(wide, before)
    readonly = view.copy()
    readonly.setflags(write=False)
    assert as_set(detector(readonly)) == as_set(detector(view))


@pytest.mark.parametrize('flip', [np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1]])
def test_reversed_views_of_images_and_masks_are_accepted(detector, flip):
    gray, mask = photograph(80, 64), np.ones((64, 80), bool)
    mask[:, :30] = False
    for image in (gray, np.stack([gray] * 3, axis=2)):
        turned = np.ascontiguousarray(image[flip]), np.ascontiguousarray(mask[flip])
        expected = as_set(detector(*turned))
        assert len(expected) > 3
        assert as_set(detector(image[flip], mask[flip])) == expected


def test_each_call_of_a_detector_may_have_its_own_settings(detector):
    image = photograph(160, 120)
    few = detector(image, settings=DetectionSettings(threshold=0.02, max_keypoints=3))
    many = detector(image)
    assert few.scores.tolist() == many.scores[:3].tolist()
    with pytest.raises(AttributeError):
        detector.settings = DetectionSettings()


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (np.zeros((32, 32), np.float32), 'must be uint8 .* got float32'),
        (np.zeros((32, 32, 4), np.uint8), r'\(H, W, 3\), BGR; got uint8 of shape \(32, 32, 4\)'),
        (np.zeros((0, 0), np.uint8), 'at least 16x16 pixels; got 0x0'),
        (np.zeros((15, 40), np.uint8), 'at least 16x16 pixels; got 40x15'),
        (None, 'must be a NumPy array, uint8 .* got NoneType; cv2.imread returns None'),
        ('photo.png', 'must be a NumPy array, uint8 .* got str'),
        (Path('photo.png'), r'must be a NumPy array, uint8 .* got \w*Path'),
        (torch.zeros(32, 32, dtype=torch.uint8), 'must be a NumPy array, uint8 .* got Tensor'),
        ([None], 'must be a NumPy array, uint8 .* got NoneType'),
    ],
)
def test_an_invalid_image_is_named_in_the_error(detector, image, message):
    with pytest.raises(ValueError, match=message):
        detector(image)


def test_a_mask_of_another_size_is_named_in_the_error(detector):
    with pytest.raises(ValueError, match='size of the image, 40x32; got 32x40'):
        detector(np.zeros((32, 40), np.uint8), mask=np.ones((40, 32)))


@pytest.mark.parametrize('mask', ['mask.png', np.ones(40)])
def test_a_mask_that_is_not_an_image_is_named_in_the_error(detector, mask):
    with pytest.raises(ValueError, match=r'size of the image, 40x32; got an array of shape \('):
        detector(np.zeros((32, 40), np.uint8), mask=mask)


@pytest.mark.parametrize('settings', [{'threshold': 0.1}, 0.1, False])
def test_settings_of_another_type_are_named_in_the_error(detector, settings):
    with pytest.raises(
        TypeError, match=f'must be DetectionSettings, .* {type(settings).__name__}'
    ):
        detector(np.zeros((32, 40), np.uint8), settings=settings)


@pytest.mark.parametrize('weights', [5, b'superpoint'])
def test_weights_that_are_not_a_path_are_named_in_the_error(weights):
    with pytest.raises(TypeError, match=f'given as a string or a path, got {weights!r}'):
        Detector.from_weights(weights)


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has CUDA')
def test_cuda_on_a_machine_without_it_is_named_in_the_error():
    with pytest.raises(ValueError, match="'cuda' is not available: .* use 'cpu' or 'auto'"):
        Detector.from_model(lively_model(), device='cuda')


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'device': 'gpu'}, ValueError, "device must be 'auto', 'cpu', .* got 'gpu'"),
        ({'device': 'cpu', 'precision': 'int4'}, ValueError, "precision must be .* got 'int4'"),
        ({'device': 'cpu', 'precision': 'float16'}, ValueError, 'float16 needs CUDA'),
        ({'treshold': 0.1}, TypeError, 'unknown setting treshold: choose from threshold'),
        (
            {'devise': 'cpu'},
            TypeError,
            'unknown setting devise: choose from .*, device, precision, ',
        ),
        ({'weights': 'a'}, TypeError, 'give the weight file as the argument path'),
        ({'threshold': 2}, ValueError, 'threshold must lie between'),
    ],
)
def test_an_invalid_option_is_named_in_the_error(options, error, message):
    with pytest.raises(error, match=message):
        Detector.from_model(lively_model(), **options)


def test_a_detector_from_weights_has_their_metadata(tmp_path):
    path = tmp_path / 'w.safetensors'
    save_weights(path, lively_model(), WeightsMetadata(version='7'))
    detector = Detector.from_weights(path, device='cpu', max_keypoints=5)
    assert detector.metadata.version == '7'
    assert detector.weights == path
    assert detector.settings.max_keypoints == 5
    assert detector.descriptor_size == 16
    assert detector.device == 'cpu'
    path.write_bytes(b'nonsense')
    with pytest.raises(WeightsError):
        Detector.from_weights(path)


@pytest.mark.parametrize('engine', ['torch', 'openvino', 'onnxruntime'])
def test_a_detector_with_the_weights_of_a_file_can_be_pickled(tmp_path, engine):
    if engine != 'torch':
        pytest.importorskip(engine, reason=f'{engine} is not installed')
    save_weights(tmp_path / 'tiny.safetensors', lively_model(), WeightsMetadata())
    options = {'device': 'cpu', 'precision': 'float32', 'engine': engine, 'max_keypoints': 7}
    detector = Detector.from_weights(tmp_path / 'tiny.safetensors', threshold=0, **options)
    copy = pickle.loads(pickle.dumps(detector))
    assert (copy.engine.name, copy.settings) == (engine, detector.settings)
    image = photograph(64, 48)
    np.testing.assert_array_equal(copy(image).keypoints, detector(image).keypoints)


def test_a_printed_detector_names_its_weights_and_what_runs_them(tmp_path, detector):
    assert repr(detector) == 'Detector(network in memory, torch float32 on cpu)'
    save_weights(tmp_path / 'own.safetensors', lively_model(), WeightsMetadata())
    options = {'device': 'cpu', 'engine': 'torch', 'precision': 'bfloat16'}
    loaded = Detector.from_weights(tmp_path / 'own.safetensors', **options)
    assert repr(loaded) == 'Detector(own.safetensors, torch bfloat16 on cpu)'


def test_a_detector_of_a_network_in_memory_is_refused_by_pickle(detector):
    with pytest.raises(TypeError, match=r'use Detector\.from_weights'):
        pickle.dumps(detector)


def test_a_large_image_is_reduced_and_its_keypoints_lie_in_the_original(detector):
    small = photograph(160, 120)
    large = np.repeat(np.repeat(small, 3, axis=0), 3, axis=1)
    expected = detector(small)
    reducing = Detector(detector.engine, 16, DetectionSettings(0.02, max_image_size=160))
    found = reducing(large)
    assert len(found) == min(len(expected), 1000) > 20
    # The middle of a block of 3x3 pixels is one pixel right and below of its corner.
    np.testing.assert_allclose(
        found.keypoints, expected.keypoints[: len(found)] * 3 + 1, atol=1e-3
    )
    unchanged = reducing(small).keypoints
    np.testing.assert_allclose(unchanged, expected.keypoints[: len(found)], atol=1e-3)


@pytest.mark.parametrize('factor', [1.5, 2.0])
def test_an_enlarged_image_has_its_keypoints_where_they_are_in_the_original(detector, factor):
    small = photograph(160, 120)
    size = (round(160 * factor), round(120 * factor))
    large = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    expected = detector(large)
    found = replace_settings(detector, upscale_factor=factor)(small)
    assert len(found) == len(expected) > 20
    np.testing.assert_allclose(
        found.keypoints, (expected.keypoints + 0.5) / factor - 0.5, atol=1e-3
    )
    np.testing.assert_array_equal(found.descriptors, expected.descriptors)


def test_images_are_not_enlarged_beyond_the_maximum_size(detector):
    image = photograph(160, 120)
    limited = replace_settings(detector, upscale_factor=4.0, max_image_size=200)(image)
    alone = replace_settings(detector, upscale_factor=1.25)(image)
    np.testing.assert_array_equal(limited.keypoints, alone.keypoints)


def test_two_descriptor_scales_average_descriptors_of_a_smaller_image(detector):
    image = photograph(208, 160)
    alone = detector(image)
    several = replace_settings(detector, descriptor_scales=2)
    both = several(image)
    np.testing.assert_array_equal(both.keypoints, alone.keypoints)
    np.testing.assert_array_equal(both.scores, alone.scores)

    smaller = cv2.resize(image, (104, 80), interpolation=cv2.INTER_AREA)
    output = detector.engine.infer(torch.from_numpy(smaller)[None, None])
    places = torch.from_numpy((alone.keypoints + 0.5) / 2 - 0.5)
    sampled = sample_descriptors(output, places[None])[0].numpy()
    expected = alone.descriptors + sampled / 2
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(both.descriptors, expected, atol=1e-5)

    other = image[:100]
    of_list = several([image, other, image])
    for got, want in zip(of_list, (both, several(other), both), strict=True):
        np.testing.assert_allclose(got.descriptors, want.descriptors, atol=1e-5)


def test_an_image_too_small_to_be_halved_is_described_at_one_scale(detector):
    image = photograph(24, 24)
    several = replace_settings(detector, descriptor_scales=2)(image)
    np.testing.assert_allclose(several.descriptors, detector(image).descriptors, atol=1e-6)


def replace_settings(detector, **settings):
    return Detector(detector.engine, 16, replace(detector.settings, **settings))


def test_a_narrow_strip_is_not_reduced_below_what_the_network_accepts(detector):
    reducing = Detector(detector.engine, 16, DetectionSettings(0.001, max_image_size=64))
    found = reducing(photograph(640, 40))
    assert found.keypoints[:, 0].max() > 300
    assert found.keypoints[:, 1].max() < 40


def test_each_image_of_a_list_can_have_its_own_mask(detector):
    image, mask = photograph(160, 120), np.zeros((120, 160), bool)
    mask[40:80, 50:100] = True
    free, masked = detector([image, image], mask=[None, mask])
    assert as_set(free) == as_set(detector(image))
    assert as_set(masked) == as_set(detector(image, mask=mask)) != as_set(free)
    with pytest.raises(ValueError, match='a mask for each image; got 1 for 2 images'):
        detector([image, image], mask=[mask])


@pytest.mark.parametrize('size', [107, 80])
def test_keypoints_of_a_reduced_image_are_where_the_mask_allows_them(detector, size):
    image, mask = photograph(320, 240), np.zeros((240, 320), bool)
    mask[81:161, 101:201] = True
    reducing = replace_settings(detector, threshold=0.0, nms_radius=0, max_image_size=size)
    inner, outer = reducing(image, mask=mask).keypoints, reducing(image, mask=~mask).keypoints
    # The edges of the outermost pixels that are allowed.
    left_top, right_bottom = np.array([101, 81]) - 0.5, np.array([201, 161]) - 0.5
    assert len(inner) > 10
    assert ((inner >= left_top) & (inner <= right_bottom)).all()
    assert not ((outer > left_top) & (outer < right_bottom)).all(axis=1).any()
