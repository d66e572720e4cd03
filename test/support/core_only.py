# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""pytest plugin: packages that neither the package itself nor its tests require do not exist."""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.metadata import (
    PackageNotFoundError,
    packages_distributions,
    requires,
)
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def _required(roots):
    """Return the canonical names of distributions and of all that they require."""
    found, waiting = set(), [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        try:
            needed = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue
        waiting += [each for each in needed if not each.marker or each.marker.evaluate()]
    return found


class _CorePathFinder(PathFinder):
    """The usual finder of modules, without those of some top-level names."""

    blocked: frozenset[str] = frozenset()

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        """Return None for a blocked module, as for one that is not installed."""
        if fullname.split('.')[0] in cls.blocked:
            return None
        return super().find_spec(fullname, path, target)


def block(roots):
    """Block the packages that these requirements do not bring."""
    wanted = _required(roots)
    _CorePathFinder.blocked = frozenset(
        module
        for module, distributions in packages_distributions().items()
        if not any(canonicalize_name(name) in wanted for name in distributions)
    )
    sys.meta_path[sys.meta_path.index(PathFinder)] = _CorePathFinder


def pytest_addoption(parser):
    """Add the option that names the requirements."""
    parser.addoption('--only', action='append', default=[], help='a requirement to keep')


def pytest_configure(config):
    """Block, before any test module is imported."""
    block(['superpoint_ros', 'pytest', 'packaging', *config.getoption('--only')])
