# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Recipes of the training stages: every value with its default, range and help text.

`superpoint_ros.training.recipe_files` reads and writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.data.photometric import PhotometricRanges
from superpoint_ros.data.random_homographies import HomographyRanges
from superpoint_ros.data.synthetic_shapes.shapes import MIN_SHAPE_SIDE
from superpoint_ros.model.config import CELL, CONFIGURATIONS, SuperPointConfig

SHARE = (0, 1)
COUNT = (1, 10**9)
WEIGHT = (0, 10**6)
SIDE = (MIN_SHAPE_SIDE, 8192)


@dataclass(frozen=True)
class TrainingRecipe(SettingsGroup):
    """Values that all training stages have; the defaults are those of the paper."""

    network: str = setting('paper', 'Configuration of the network.', choices=tuple(CONFIGURATIONS))
    stage_channels: list[int] = setting(
        [],
        "Channels that the four encoder stages use, such as '[32, 48, 96, 128]'; the other "
        'channels of the configuration are dead and cost nothing. Empty: all channels.',
    )
    head_channels: int = setting(
        0, 'Most channels that each head uses; 0 uses all.', range=(0, None)
    )
    seed: int = setting(
        0,
        'Seed of the weights and of the data: sample i is made from (seed, i).',
        range=(0, 2**63 - 1),
    )
    max_steps: int = setting(
        200_000, 'Number of optimizer steps; the schedule depends on it.', range=COUNT
    )
    batch: int = setting(32, 'Images per step and process.', range=COUNT)
    width: int = setting(160, f'Image width, a multiple of {CELL}.', unit='px', range=SIDE)
    height: int = setting(120, f'Image height, a multiple of {CELL}.', unit='px', range=SIDE)
    homography: HomographyRanges = setting(HomographyRanges(), 'Ranges of random homographies.')
    augmented: float = setting(
        0.9, 'Share of the images with photometric augmentation.', range=SHARE
    )
    photometric: PhotometricRanges = setting(
        PhotometricRanges(), 'Ranges of photometric augmentation.'
    )
    learning_rate: float = setting(
        1e-3, 'Highest learning rate of the optimizer.', above=0, range=(None, 1)
    )
    beta1: float = setting(0.9, 'First beta of Adam.', range=(0, None), below=1)
    beta2: float = setting(0.999, 'Second beta of Adam.', range=(0, None), below=1)
    weight_decay: float = setting(
        0.0, 'Weight decay of AdamW; 0 gives the Adam of the paper.', range=SHARE
    )
    warm_up: float = setting(
        0.0, 'Share of the steps in which the learning rate rises at the start.', range=SHARE
    )
    decay: float = setting(
        0.0, 'Share of the steps in which the learning rate falls to 0 at the end.', range=SHARE
    )
    gradient_clip: float = setting(
        0.0, 'Largest norm of the gradient over all weights; 0 turns clipping off.', range=WEIGHT
    )
    precision: str = setting(
        '32-true',
        'Arithmetic: float32, or mixed with bfloat16 or float16.',
        choices=('32-true', 'bf16-mixed', '16-mixed'),
    )
    batch_norm: bool = setting(
        True,
        'Train with batch norms, which the weight file has folded into the convolutions; false '
        'trains the convolutions alone: faster steps, for networks that start from trained '
        'weights.',
    )
    channels_last: bool = setting(
        False, 'Use the channels-last memory format, which is faster on most machines.'
    )
    workers: int = setting(
        1, 'Processes that make the images; the images do not depend on it.', range=(0, 1024)
    )
    checkpoint_minutes: float = setting(
        5.0, 'Time between two checkpoints.', unit='min', range=(0, 10**6)
    )
    validate_every: int = setting(1000, 'Steps between two validations.', range=COUNT)
    validation_images: int = setting(
        200, 'Images of a validation, the same each time.', range=COUNT
    )
    log_every: int = setting(20, 'Steps between two values of the curves.', range=COUNT)

    def __post_init__(self):
        super().__post_init__()
        for name in ('width', 'height'):
            if getattr(self, name) % CELL:
                raise ValueError(f'{name} must be a multiple of {CELL}, got {getattr(self, name)}')
        widest = CONFIGURATIONS[self.network]
        used = self.stage_channels or widest.stage_channels
        if len(used) != 4 or not all(
            1 <= channels <= most
            for channels, most in zip(used, widest.stage_channels, strict=True)
        ):
            raise ValueError(
                'stage_channels must be four whole numbers, at least 1 and at most '
                f'{list(widest.stage_channels)} for network {self.network}, '
                f'got {self.stage_channels}'
            )
        if self.head_channels > (most := max(widest.head_channels)):
            raise ValueError(
                f'head_channels must be 0 (all) or at most {most} for network {self.network}, '
                f'got {self.head_channels}'
            )

    @property
    def configuration(self) -> SuperPointConfig:
        """Return the configuration of the network that is trained."""
        widest = CONFIGURATIONS[self.network]
        most = self.head_channels or max(widest.head_channels)
        return replace(
            widest,
            stage_channels=self.stage_channels or widest.stage_channels,
            head_channels=tuple(min(channels, most) for channels in widest.head_channels),
        )


@dataclass(frozen=True)
class MagicPointRecipe(TrainingRecipe):
    """Values of the training of MagicPoint on synthetic shapes."""

    warped: float = setting(
        0.5, 'Share of the images that are warped by a random homography.', range=SHARE
    )


JOINT_HOMOGRAPHIES = HomographyRanges(
    translation=0.15,
    max_rotation=75.0,
    rotation_sigma=26.0,
    min_scale=0.5,
    max_scale=2.0,
    perspective=0.2,
    patch_ratio=1.0,
    allow_artifacts=True,
)
"""Default of joint training: larger changes than between two frames of a robot's camera."""


@dataclass(frozen=True)
class SuperPointRecipe(TrainingRecipe):
    """Values of the joint training of detector and descriptor on pairs of views."""

    images: str = setting('', 'Folder of the photographs.')
    image_list: str = setting(
        '',
        'File with the SHA-256 of the photographs that are used, as sha256sum writes it, or the '
        'name of a list of the package. Empty: all of the folder.',
    )
    detector_targets: str = setting(
        'pseudo_labels',
        "What the detector learns: 'pseudo_labels' of 'superpoint adapt', or 'repeatability', the "
        'Hessian keypoints that both views of a pair share.',
        choices=('pseudo_labels', 'repeatability'),
    )
    labels: str = setting(
        '', "Folder of pseudo labels, made by 'superpoint adapt'; not used for repeatability."
    )
    min_score: float = setting(
        0.0,
        'Pseudo labels with a lower score are uncertain: the detector loss ignores their cells.',
        range=SHARE,
    )
    batch: int = setting(8, 'Pairs per step and process.', range=COUNT)
    width: int = setting(256, f'Width of both views, a multiple of {CELL}.', unit='px', range=SIDE)
    height: int = setting(
        192, f'Height of both views, a multiple of {CELL}.', unit='px', range=SIDE
    )
    homography: HomographyRanges = setting(
        JOINT_HOMOGRAPHIES, 'Ranges of the homographies from view A to view B.'
    )
    min_downscale: float = setting(
        0.8,
        'Smallest factor by which view A reduces the photograph; the largest is the one at which '
        'the photograph fills the view.',
        range=(0.01, None),
    )
    shapes: float = setting(
        0.1, 'Share of the pairs that show synthetic shapes instead of a photograph.', range=SHARE
    )
    pairs: str = setting('', "Folder of rendered pairs, made by 'superpoint render-pairs'.")
    rendered: float = setting(
        0.0, 'Share of the pairs that are rendered ones, instead of photographs.', range=SHARE
    )
    rendered_count: int = setting(
        0, 'Number of rendered pairs that are used, the first ones; 0 uses all.', range=(0, 10**9)
    )
    rendered_rotation_sigma: float = setting(
        12.0,
        'Standard deviation of the random rotation of each rendered view.',
        unit='deg',
        range=(0.0, 1000.0),
    )
    rendered_max_scale: float = setting(
        1.3, 'Largest factor by which rendered views are enlarged or reduced.', range=(1.0, 10.0)
    )
    min_density: float = setting(
        0.04,
        'Repeatability targets: fewest Hessian keypoints per cell of 8x8 pixels that are '
        'compared; each pair has a random number in the range.',
        above=0,
    )
    max_density: float = setting(
        0.42,
        'Repeatability targets: most Hessian keypoints per cell that are compared; 1000 '
        'keypoints in 640x480 pixels are 0.21.',
        above=0,
        constraint='at least min_density',
    )
    points: int = setting(
        256, 'Points of a pair on which descriptors are trained.', range=(2, None)
    )
    keypoint_share: float = setting(
        0.7,
        'Largest share of these points that are keypoints; the others are random positions.',
        range=SHARE,
    )
    descriptor_loss: str = setting(
        'contrastive',
        "Loss of the descriptors: 'contrastive', a softmax over sampled points, or 'hinge', the "
        "paper's loss over all pairs of cells.",
        choices=('contrastive', 'hinge'),
    )
    descriptor_weight: float = setting(
        0.5, 'Weight of the descriptor loss (lambda in the paper).', range=WEIGHT
    )
    temperature: float = setting(
        20.0, 'Factor of the cosine similarities in the contrastive loss.', above=0
    )
    coarse_descriptor_weight: float = setting(
        0.0,
        'Weight, within the contrastive loss, of the loss of descriptors without their fine part, '
        'for networks that are used without it, too; 0 turns this off.',
        range=WEIGHT,
    )
    descriptor_scales: int = setting(
        1,
        'Number of image scales at which the contrastive loss describes points, as '
        'descriptor_scales of the detector.',
        range=(1, 4),
        constraint='1 for the hinge loss',
    )
    distill_from: str = setting(
        '',
        'Weight file, or name of shipped weights, whose multi-scale descriptors are distilled; '
        'empty turns this off.',
    )
    distillation_weight: float = setting(2.0, 'Weight of the distillation loss.', range=WEIGHT)
    distillation_scales: int = setting(
        3,
        'Number of image scales whose descriptors are distilled: 1, 1.375 and 0.5 in this order.',
        range=(1, 3),
    )
    detector_distillation: float = setting(
        0.0,
        'Weight, within the distillation loss, of the cross-entropy of the cells with the '
        'probabilities of the weight file; 0 distils descriptors only.',
        range=WEIGHT,
    )
    hinge_positive_weight: float = setting(
        250.0,
        'Weight of corresponding cells in the hinge loss (lambda_d in the paper).',
        range=WEIGHT,
    )
    validation_images: int = setting(
        100, 'Pairs of a validation, the same each time.', range=COUNT
    )

    RENAMED: ClassVar[Mapping[str, str]] = {
        'detector': "detector_targets ('pseudo_labels' for labels, 'repeatability' for repeats)",
        'least_score': 'min_score',
        'finest': 'min_downscale',
        'sparsest': 'min_density',
        'densest': 'max_density',
        'labelled': 'keypoint_share',
        'levels': 'descriptor_scales',
        'teacher': 'distill_from',
        'teacher_weight': 'distillation_weight',
    }

    def __post_init__(self):
        super().__post_init__()
        if not self.images:
            raise ValueError('name the folder of the images: --images DIR')
        if self.detector_targets == 'pseudo_labels' and not self.labels:
            raise ValueError(
                'name the folder of the labels: --labels DIR, or use '
                '--detector_targets repeatability'
            )
        if self.rendered and not self.pairs:
            raise ValueError('name the folder of the rendered pairs: --pairs DIR')
        if self.rendered and self.detector_targets != 'repeatability':
            raise ValueError(
                'rendered pairs have no pseudo labels: use --detector_targets repeatability'
            )
        if self.descriptor_scales > 1 and self.descriptor_loss == 'hinge':
            raise ValueError('descriptor_scales must be 1 for descriptor_loss hinge')
        self.check_order('min_density', 'max_density')
