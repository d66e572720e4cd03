# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Recipes: every number that a training run depends on, typed, documented and checked.

A recipe is a YAML file; what it leaves out has the defaults below. Each value can be overridden on
the command line under its name: ``--max_steps 1000 --homography.max_rotation 30``.
"""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
import math
from pathlib import Path
from types import NoneType
from typing import Literal, TypeVar

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings
import yaml

from superpoint_ros.data.photometric import PhotometricRanges
from superpoint_ros.data.random_homographies import HomographyRanges
from superpoint_ros.model.superpoint import CELL, CONFIGURATIONS, SuperPointConfig

FOLDER = Path(__file__).parent / 'recipes'

BESIDE_THE_POINT = frozenset(
    {'workers', 'checkpoint_minutes', 'validate_every', 'validation_images', 'log_every'}
)
"""Values that do not change the weights, so that a resumed run may have others."""

set_parsing_settings(docstring_parse_attribute_docstrings=True)


@dataclass(frozen=True)
class TrainingRecipe:
    """What every stage of training has to be told; the defaults are the paper's."""

    network: Literal['paper', 'compact'] = 'paper'
    """The network's configuration."""

    stage_channels: list[int] = field(default_factory=list)
    """Channels that the encoder's four stages use of the configuration's, such as
    '[32, 48, 96, 128]': the others are silent, and cost nothing. None given: all."""

    head_channels: int = 0
    """Channels that both heads use of the configuration's; 0: all."""

    seed: int = 0
    """Seed of the weights and of the data: sample i is made from (seed, i)."""

    max_steps: int = 200_000
    """Number of steps of the optimizer in all; the schedule stretches with it."""

    batch: int = 32
    """Images in a step."""

    width: int = 160
    """Width of the images in pixels, a multiple of 8."""

    height: int = 120
    """Height of the images in pixels, a multiple of 8."""

    homography: HomographyRanges = field(default_factory=HomographyRanges)
    """How far random homographies go."""

    augmented: float = 0.9
    """Share of the images that get noise, blur and other light; the rest stays clean."""

    photometric: PhotometricRanges = field(default_factory=PhotometricRanges)
    """How far noise, blur and light go."""

    learning_rate: float = 1e-3
    """The optimizer's highest learning rate."""

    beta1: float = 0.9
    """Decay of the optimizer's mean of the gradients."""

    beta2: float = 0.999
    """Decay of the optimizer's mean of their squares."""

    weight_decay: float = 0.0
    """Weight decay of AdamW; 0 makes it the paper's Adam."""

    warm_up: float = 0.0
    """Share of the steps, at the start, in which the learning rate rises to its highest."""

    decay: float = 0.0
    """Share of the steps, at the end, in which the learning rate falls linearly to 0."""

    gradient_clip: float = 0.0
    """Longest gradient, as a norm over all weights; 0 leaves gradients as they are."""

    precision: Literal['32-true', 'bf16-mixed', '16-mixed'] = '32-true'
    """Arithmetic: float32, or bfloat16 or float16 where these are safe."""

    channels_last: bool = False
    """Whether images lie in memory pixel by pixel, which is faster on most machines."""

    workers: int = 1
    """Processes that make the images; the images do not depend on their number."""

    checkpoint_minutes: float = 5.0
    """Minutes between two checkpoints."""

    validate_every: int = 1000
    """Steps between two validations."""

    validation_images: int = 200
    """Images in a validation, the same every time."""

    log_every: int = 20
    """Steps between two values in the curves."""

    def __post_init__(self):
        for name in ('width', 'height'):
            if getattr(self, name) % CELL or getattr(self, name) < 2 * CELL:
                raise ValueError(
                    f'{name} must be a multiple of {CELL} from {2 * CELL} up, '
                    f'got {getattr(self, name)}'
                )
        counts = ('max_steps', 'batch', 'validate_every', 'validation_images', 'log_every')
        self._check(counts, lambda value: value >= 1, 'at least 1')
        shares = ('augmented', 'warm_up', 'decay')
        self._check(shares, lambda value: 0 <= value <= 1, 'from 0 to 1')
        self._check(('beta1', 'beta2'), lambda value: 0 <= value < 1, 'from 0 to under 1')
        sizes = ('seed', 'weight_decay', 'gradient_clip', 'workers')
        self._check(sizes, lambda value: value >= 0, '0 or more')
        positive = ('learning_rate', 'checkpoint_minutes')
        self._check(positive, lambda value: value > 0, 'greater than 0')
        whole = CONFIGURATIONS[self.network]
        widest, most = whole.stage_channels, whole.head_channels
        used = self.stage_channels or widest
        if len(used) != len(widest) or not all(
            1 <= channels <= wide for channels, wide in zip(used, widest, strict=False)
        ):
            raise ValueError(
                f'stage_channels must be four whole numbers, at least 1 and at most {list(widest)}'
                f' for network {self.network}, got {self.stage_channels}'
            )
        self._check(
            ('head_channels',), lambda value: 0 <= value <= most, f'0 (all) or at most {most}'
        )

    @property
    def configuration(self) -> SuperPointConfig:
        """Return the configuration of the network that is trained."""
        whole = CONFIGURATIONS[self.network]
        return replace(
            whole,
            stage_channels=self.stage_channels or whole.stage_channels,
            head_channels=self.head_channels or whole.head_channels,
        )

    def _check(self, names: Sequence[str], allowed: Callable[[float], bool], what: str) -> None:
        """Raise ValueError for the first of the values that is not allowed."""
        for name in names:
            value = getattr(self, name)
            if not (math.isfinite(value) and allowed(value)):
                raise ValueError(f'{name} must be {what}, got {value}')


@dataclass(frozen=True)
class MagicPointRecipe(TrainingRecipe):
    """How MagicPoint, a detector of corners, is trained on synthetic shapes."""

    warped: float = 0.5
    """Share of the images that are seen through a random homography."""

    def __post_init__(self):
        super().__post_init__()
        self._check(('warped',), lambda value: 0 <= value <= 1, 'from 0 to 1')


Recipe = TypeVar('Recipe')


def shipped_recipes(stage: str) -> list[str]:
    """Return the names of the recipes of a stage that come with the package."""
    return sorted(path.stem.partition('_')[2] for path in FOLDER.glob(f'{stage}_*.yaml'))


def recipe_path(stage: str, recipe: str) -> Path:
    """
    Return the file of a recipe that is named like a shipped one, or is a path to one.

    Raises FileNotFoundError that tells the shipped names where it is neither.
    """
    names = shipped_recipes(stage)
    if recipe in names:
        return FOLDER / f'{stage}_{recipe}.yaml'
    if not Path(recipe).is_file():
        raise FileNotFoundError(
            f'there is no recipe {recipe}: name a YAML file or one of {", ".join(names)}'
        )
    return Path(recipe)


def recipe_parser(kind: type) -> ArgumentParser:
    """Return a parser that has one option for each value of this kind of recipe."""
    parser = ArgumentParser(exit_on_error=False, add_help=False, usage=SUPPRESS)
    parser.add_argument('--recipe', action='config')
    parser.add_class_arguments(kind)
    return parser


def read_recipe(kind: type[Recipe], path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """
    Return the recipe in a YAML file with values overridden, such as ``['--batch', '8']``.

    Names may be written with hyphens. Raises ValueError that names the value which is unknown, of
    the wrong type or out of range.
    """
    try:
        written = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'the recipe {path} is not YAML: {error}') from error
    if not isinstance(written, (dict, NoneType)):
        raise ValueError(f"the recipe {path} must be lines of 'name: value', got {written!r}")
    parser = recipe_parser(kind)
    file = [f'--recipe={path}'] if written else []
    try:
        values = parser.parse_args([*file, *map(_underscored, overrides)])
        values = parser.instantiate(values)
    except ArgumentError as error:
        raise ValueError(f'the recipe {path} cannot be used: {error}') from error
    return kind(**{value.name: values[value.name] for value in fields(kind)})


def _underscored(argument: str) -> str:
    """Return an option with underscores in its name in place of hyphens."""
    if not argument.startswith('--'):
        return argument
    name, equals, value = argument[2:].partition('=')
    return f'--{name.replace("-", "_")}{equals}{value}'


def recipe_as_yaml(recipe: object) -> str:
    """Return the recipe as text that ``read_recipe`` reads."""
    return yaml.safe_dump(asdict(recipe), sort_keys=False)


def check_same_recipe(recorded: dict, recipe: object, where: str) -> None:
    """
    Raise ValueError where a checkpoint was written under a recipe that gives other weights.

    ``recorded`` is the recipe of the checkpoint as a dictionary, ``where`` names the checkpoint.
    """
    current = asdict(recipe)
    differences = [
        f'{name} is {recorded.get(name)!r} there and {current.get(name)!r} here'
        for name in sorted(recorded.keys() | current.keys())
        if recorded.get(name) != current.get(name) and name not in BESIDE_THE_POINT
    ]
    if differences:
        raise ValueError(
            f'{where} belongs to another recipe: {"; ".join(differences)}. '
            'Resume with the recipe it was made with, or start in another folder'
        )
