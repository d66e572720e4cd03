# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Refinement of the local map while tracking goes on: bundle adjustment of a copy of the map."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from functools import partial

import numpy as np

from superpoint_ros.geometry.poses import invert
from superpoint_ros.odometry.local_map import LocalMap, shared_ids


class MapRefiner:
    """
    Bundle adjustment of a map, at once or in another thread.

    Without `executor`, `start` refines the map itself, and results repeat exactly. With one, such
    as a ThreadPoolExecutor of one thread, a copy of the map is refined there, and `finish`
    transfers the result; both are called by the thread that owns the map. A refinement that is
    started in the meantime begins when the first one has been transferred.

    `report` gets what the work raised in the executor; without it, `finish` raises it. Either way
    the map remains valid, and the next refinement includes the same keyframes.
    """

    def __init__(
        self,
        executor: Executor | None = None,
        report: Callable[[Exception], None] | None = None,
    ):
        self._executor, self._report = executor, report
        self._job: _Job | None = None
        self._future: Future | None = None
        self._unwanted: Future | None = None  # discarded while it ran, the last one
        self._is_due = False

    def start(self, local: LocalMap) -> None:
        """Refine a map that has a new keyframe, or begin to."""
        if not local.window:
            return
        if self._future is not None:
            self._is_due = True
            return
        job = _Job(local)
        if self._executor is None:
            job.run()
            job.transfer(local)
        else:
            self._job, self._future = job, self._executor.submit(job.run)

    def finish(self, local: LocalMap) -> np.ndarray | None:
        """
        Transfer a result to the map; return how later poses change, None without a result.

        A world-to-camera pose that was estimated since `start`, multiplied by the returned matrix
        (4, 4) from the right, keeps its pose relative to the newest keyframe of the refinement.
        """
        if self._future is None or not self._future.done():
            return None
        error, job, is_due = self._future.exception(), self._job, self._is_due
        self.discard()
        correction = None
        if error is None:
            correction = job.transfer(local)
        elif self._report is None:
            raise error
        else:
            self._report(error)
        if is_due:
            self.start(local)
        return correction

    def discard(self) -> None:
        """Forget the refinement of a map that is no longer used."""
        if self._future is not None and not self._future.cancel():
            self._unwanted = self._future
        self._job = self._future = None
        self._is_due = False

    def wait(self, timeout: float | None = None) -> bool:
        """
        Return whether no work goes on, after waiting for it up to `timeout` seconds.

        Work whose result was discarded counts, too.
        """
        futures = [each for each in (self._unwanted, self._future) if each is not None]
        return not wait(futures, timeout).not_done


class DeferredExecutor(Executor):
    """
    An executor that does its work when `run` is called.

    With it, measurements and tests of a refinement in another thread repeat exactly.
    """

    def __init__(self):
        self._waiting: list[tuple[Future, Callable[[], object]]] = []

    def submit(self, work, /, *arguments, **options) -> Future:
        """Store some work; return its future result."""
        self._waiting.append((Future(), partial(work, *arguments, **options)))
        return self._waiting[-1][0]

    def run(self) -> int:
        """Do the work that waits, unless it was cancelled; return how many pieces were done."""
        waiting, self._waiting = self._waiting, []
        todo = [each for each in waiting if each[0].set_running_or_notify_cancel()]
        for future, work in todo:
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - the owner of the future gets it
                future.set_exception(error)
        return len(todo)


class _Job:
    """One refinement of a map, in a copy of it."""

    def __init__(self, local: LocalMap):
        self._views, self._ids = list(local.keyframes), local.ids
        self._copy = local.copy()

    def run(self) -> None:
        """Refine the copy."""
        self._copy.refine()

    def transfer(self, local: LocalMap) -> np.ndarray:
        """Take over poses, points and removed outliers; return the change of later poses."""
        refined = self._copy
        correction = invert(self._views[-1].pose) @ refined.keyframes[-1].pose
        results = dict(zip(self._views, refined.keyframes, strict=True))
        for view in local.keyframes:
            if view in results:
                vars(view).update(vars(results[view]))
            else:
                view.pose = view.pose @ correction
        in_map, in_refined = shared_ids(local.ids, refined.ids)
        kept = ~np.isin(local.ids, self._ids)  # points since then
        kept[in_map] = True
        world = invert(correction)
        points = local.points @ world[:3, :3].T + world[:3, 3]
        points[in_map] = refined.points[in_refined]
        local.points = points
        local.keep(kept)
        return correction
