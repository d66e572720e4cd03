# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Collision-free paths through the free space of a scene.

Random free places are joined by straight flights that keep a distance from all surfaces
(probabilistic roadmap: Kavraki and others, 1996). A path leads along shortest routes from one
distant place to the next; a cubic B-spline rounds its corners as far as this leaves it free.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from superpoint_ros.data.scenes.cameras import ROOMY, surface_distances
from superpoint_ros.data.scenes.ray_casting import RayCaster

PLACES = 250
"""Free places that are joined: a 57 m long building has one every few metres."""

TRIALS = 5
"""Places that are tried for each free one."""

NEIGHBOURS = 12
"""Nearest places to which flights from a place are tried."""

RING = 8
"""Parallel rays that test whether a flight is free, besides the one in the middle."""

STEP = 0.1
"""Distance in metres of the places on a path that are tested."""

FINEST = 0.2
"""Distance in metres of the control points at which a path counts as impossible to round."""

_CANDIDATES = 4  # destinations of which the most distant one is taken
_AVOIDED = 3  # last places of a path to which it does not return at once
_AROUND = 2.5  # metres around a place within which a path does not turn back
_TURNS = (0.3, 0.0, -0.5)  # cosines of the largest turns, tried in this order
_SOFTNESS = 0.25  # metres over which the sharpest corners are smoothed
_MARGINS = (1.0, 1.5, 2.5, 5.0)  # rounding and leaving out corners make a path shorter


class FlightSpace(NamedTuple):
    """
    Where paths may lead.

    Attributes:
        caster: the scene.
        bounds: (2, 3), lowest and highest coordinates in metres.
        heights: lowest and highest height above what is below, in metres.
        clearance: least distance from all surfaces in metres.
        along: whether the path leads from one end of the bounds to the other along x.

    """

    caster: RayCaster
    bounds: np.ndarray
    heights: tuple[float, float]
    clearance: float
    along: bool = False


def plan_path(
    space: FlightSpace, length: float, corners: float, rng: np.random.Generator
) -> np.ndarray:
    """
    Return places (N, 3) on a smooth free path of at least `length` metres, `STEP` apart.

    Corners are rounded over about `corners` metres. Raises ValueError if the scene has no free
    space that is large enough.
    """
    places = _free_places(space, rng)
    graph = _joined(space, places) if len(places) > 1 else None
    if graph is None or not graph.nnz:
        raise ValueError(
            f'found no free space for a path {space.clearance:g} m from all surfaces, '
            f'{space.heights[0]:g} to {space.heights[1]:g} m above the floor; try another motion'
        )
    for margin in _MARGINS:
        route = _tour(places, graph, margin * length, space.along, rng)
        # Straight along a street; elsewhere long straight flights would meet at sharp corners.
        route = _shortened(space, route) if space.along else route
        path = _rounded(space, route, corners)
        if lengths_along(path)[-1] >= length:
            return path
    raise ValueError(f'no path of {length:.0f} m was found; try another seed')


def _free_places(space: FlightSpace, rng: np.random.Generator) -> np.ndarray:
    """Return up to `PLACES` places (N, 3) with free space around them."""
    count = PLACES * TRIALS
    tried = rng.uniform(space.bounds[0], space.bounds[1], (count, 3))
    down = space.caster.cast(tried, np.tile([0, 0, -1.0], (count, 1)))
    tried[:, 2] -= np.where(down.triangle >= 0, down.distance, np.nan)
    tried[:, 2] += rng.uniform(*space.heights, count)
    tried = tried[tried[:, 2] < space.bounds[1, 2]]  # false for NaN, where there is no floor
    found = []
    for start in range(0, len(tried), PLACES):
        block = tried[start : start + PLACES]
        distance = surface_distances(space.caster, block)
        roomy = np.median(distance, axis=1) > max(ROOMY, 1.5 * space.clearance)
        found.append(block[roomy & (distance.min(axis=1) > space.clearance)])
        if sum(map(len, found)) >= PLACES:
            break
    return np.concatenate(found)[:PLACES] if found else np.zeros((0, 3))


def _joined(space: FlightSpace, places: np.ndarray) -> csr_array:
    """Return the graph of free flights between near places, in the largest connected part."""
    _, near = cKDTree(places).query(places, min(NEIGHBOURS + 1, len(places)))
    starts = np.repeat(np.arange(len(places)), near.shape[1] - 1)
    ends = near[:, 1:].ravel()
    free = _are_free(space, places[starts], places[ends])
    starts, ends = starts[free], ends[free]
    lengths = np.linalg.norm(places[starts] - places[ends], axis=1)
    graph = csr_array((lengths, (starts, ends)), shape=(len(places), len(places)))
    _, part = connected_components(graph, directed=False)
    largest = part == np.bincount(part).argmax()
    kept = largest[starts]
    return csr_array((lengths[kept], (starts[kept], ends[kept])), shape=graph.shape)


def _are_free(space: FlightSpace, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return bool (N,): whether a tube around straight flights (N, 3) meets no surface."""
    along = ends - starts
    length = np.linalg.norm(along, axis=1, keepdims=True)
    forward = along / np.maximum(length, 1e-9)
    side = np.cross(forward, np.where(np.abs(forward[:, 2:]) > 0.9, [1.0, 0, 0], [0, 0, 1.0]))
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    up = np.cross(side, forward)
    angles = 2 * np.pi * np.arange(RING) / RING
    ring = [np.cos(angle) * side + np.sin(angle) * up for angle in angles]
    free = np.ones(len(starts), bool)
    for offset in (0 * side, *ring):
        hits = space.caster.cast(starts + space.clearance * offset, along)
        beyond = 1 + space.clearance / np.maximum(length[:, 0], 1e-9)
        free &= (hits.triangle < 0) | (hits.distance > beyond)
    return free


def _tour(
    places: np.ndarray, graph: csr_array, length: float, along: bool, rng: np.random.Generator
) -> np.ndarray:
    """Return the corners (N, 3) of a path that visits distant places until it is long enough."""
    known = np.flatnonzero(np.bincount(graph.indices, minlength=len(places)))
    x = places[known, 0]
    ends = int(known[x.argmin()]), int(known[x.argmax()])
    route, total = [ends[0] if along else int(rng.choice(known))], 0.0
    while total < length:
        here = route[-1]
        distance, before = _routes_onwards(places, graph, route)
        reached = _reached(distance)
        if along:
            there = ends[1] if here != ends[1] else ends[0]
            there = there if there in reached else int(rng.choice(reached))
        else:
            candidates = rng.choice(reached, _CANDIDATES)
            there = int(candidates[distance[candidates].argmax()])
        total += float(distance[there])
        route += _leg(before, here, there)
    return places[route]


def _routes_onwards(
    places: np.ndarray, graph: csr_array, route: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return `_distances` from the end of a route that turn as little as possible there."""
    avoided = route[-_AVOIDED - 1 : -1]
    for cosine in _TURNS if avoided else ():
        behind = _behind(places, avoided[-1], route[-1], cosine)
        found = _distances(graph, route[-1], [*avoided, *behind])
        if len(_reached(found[0])):
            return found
    return _distances(graph, route[-1], [])  # at the start, or turning back in a dead end


def _reached(distance: np.ndarray) -> np.ndarray:
    """Return the places (M,) that `_distances` (N,) reach, without the start."""
    return np.flatnonzero(np.isfinite(distance) & (distance > 0))


def _leg(before: np.ndarray, here: int, there: int) -> list[int]:
    """Return the places on the shortest route after `here`, of the places `before` each one."""
    leg = [there]
    while leg[-1] != here:
        leg.append(int(before[leg[-1]]))
    return leg[-2::-1]


def _behind(places: np.ndarray, last: int, here: int, cosine: float) -> list[int]:
    """Return the places near `here` to which a path that comes from `last` would turn back."""
    steps = places - places[here]
    lengths = np.linalg.norm(steps, axis=1)
    arriving = -steps[last] / max(lengths[last], 1e-9)
    near = (lengths > 0) & (lengths < _AROUND)
    return np.flatnonzero(near & (steps @ arriving < cosine * lengths)).tolist()


def _distances(graph: csr_array, start: int, avoided: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances (N,) of places, infinite beyond reach, and the places before them."""
    kept = ~np.isin(np.arange(graph.shape[0]), avoided)
    rest = graph.tocoo()
    free = kept[rest.coords[0]] & kept[rest.coords[1]]
    edges = (rest.data[free], (rest.coords[0][free], rest.coords[1][free]))
    return dijkstra(
        csr_array(edges, shape=graph.shape),
        directed=False,
        indices=start,
        return_predecessors=True,
    )


def _shortened(space: FlightSpace, corners: np.ndarray) -> np.ndarray:
    """Return the path without corners that a straight free flight can leave out."""
    kept = [0]
    while kept[-1] < len(corners) - 1:
        here = kept[-1]
        # A tour passes the same place again: look only a few corners ahead.
        ahead = np.arange(here + 2, min(here + 6, len(corners)))
        start = np.broadcast_to(corners[here], (len(ahead), 3))
        free = _are_free(space, start, corners[ahead]) if len(ahead) else np.zeros(0, bool)
        kept.append(int(ahead[free].max()) if free.any() else here + 1)
    return corners[kept]


def _rounded(space: FlightSpace, corners: np.ndarray, spacing: float) -> np.ndarray:
    """Return places `STEP` apart on a smooth path near the corners; ValueError if it collides."""
    while spacing >= FINEST:
        path = resample(_spline(resample(corners, spacing)), STEP)
        path = gaussian_filter1d(path, _SOFTNESS / STEP, axis=0, mode='nearest')
        if surface_distances(space.caster, path).min() > space.clearance / 2:
            return path
        spacing /= 2
    raise ValueError('no smooth path through the scene was found; try another seed')


def _spline(controls: np.ndarray) -> np.ndarray:
    """Return places (N, 3) on the uniform cubic B-spline of control points (M, 3)."""
    controls = np.concatenate([controls[:1], controls[:1], controls, controls[-1:], controls[-1:]])
    count = len(controls)
    spline = BSpline(np.arange(count + 4) - 3.0, controls, 3)
    return spline(np.linspace(0, count - 3, 20 * count))


def resample(path: np.ndarray, spacing: float) -> np.ndarray:
    """Return places (N, 3) on a path, `spacing` metres apart or a little less."""
    length = lengths_along(path)[-1]
    count = max(int(np.ceil(length / spacing)), 1) + 1
    return places_along(path, np.linspace(0, length, count))


def lengths_along(path: np.ndarray) -> np.ndarray:
    """Return the length (N,) of a path (N, 3) from its start to each of its places."""
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def places_along(path: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the places (M, 3) of a path (N, 3) at lengths (M,) from its start."""
    along = lengths_along(path)
    return np.stack([np.interp(lengths, along, axis) for axis in path.T], axis=1)
