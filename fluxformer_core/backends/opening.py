"""From a net to an engine: the backend that was asked for or the fastest, out of the cache or built and checked."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from fluxformer_core.backends.base import Backend, Engine, Order
from fluxformer_core.backends.cache import EngineCache, default_cache, key_of
from fluxformer_core.backends.parity import allow, deviation
from fluxformer_core.backends.registry import candidates, create_backend
from fluxformer_core.errors import BackendError

log = logging.getLogger(__name__)

Progress = Callable[[str], None]
"""Told in words what is being done now; what takes long says so before it begins."""

_ROUNDS = 5  # passes of each candidate, in turns, before `auto` chooses
_WARM_UP = 2


def open_engine(
    order: Order,
    backend: str = "auto",
    *,
    cache: Path | None = None,
    tolerance: float | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Engine:
    """An engine for a net.

    What compiles is looked for in the cache first; what is built is held against the net and refused if it is too far
    away. `auto` measures what works here and logs which it takes and why.

    Args:
        order: the net and what it is run for.
        backend: one of `list_backends()`.
        cache: folder of built engines; None: the user's.
        tolerance: of the guard; None: that of the precision.
        rebuild: build even if the cache has the engine.
        progress: None: the log is told.

    Raises:
        ConfigError: if there is no such backend.
        BackendError: if it does not work here, cannot take the net, or computes something else. `auto` raises it only
            if nothing works.
    """
    opener = _Opener(order, EngineCache(cache or default_cache()), tolerance, rebuild, progress or log.info)
    return opener.fastest() if backend == "auto" else opener.open(create_backend(backend))


class _Opener:
    def __init__(
        self, order: Order, cache: EngineCache, tolerance: float | None, rebuild: bool, progress: Progress
    ) -> None:
        self._order, self._cache, self._tolerance = order, cache, tolerance
        self._rebuild, self._progress = rebuild, progress

    def open(self, backend: Backend) -> Engine:
        """An engine of this backend, or the reason why there is none."""
        if reason := backend.probe(self._order.precision):
            raise BackendError(f"backend {backend.name} cannot be used in {self._order.precision}: {reason}")
        if not backend.compiles:
            return self._checked(backend.load(self._order, Path()))[0]
        if not self._order.digest:
            with tempfile.TemporaryDirectory(prefix="fluxformer") as aside:
                return self._built(backend, Path(aside))[0]
        return self._kept(backend)

    def fastest(self) -> Engine:
        """The fastest of those that work."""
        engines, reasons = [], []
        for backend in candidates():
            try:
                engines.append(self.open(backend))
            except BackendError as error:
                reasons.append(str(error))
        if not engines:
            raise BackendError(f"no backend works here: {'; '.join(reasons)}")
        if len(engines) == 1:
            why = f"nothing else works: {'; '.join(reasons)}" if reasons else "it is the only one for this machine"
            log.info("auto: %s runs on %s, %s", self._order.name, engines[0].backend, why)
            return engines[0]
        times = _race(engines, self._order)
        best = min(engines, key=lambda engine: times[engine.backend])
        told = ", ".join(f"{name} {1e3 * times[name]:.1f} ms" for name in sorted(times, key=times.__getitem__))
        log.info("auto: %s runs on %s, the fastest here: %s", self._order.name, best.backend, told)
        return best

    def _kept(self, backend: Backend) -> Engine:
        key = key_of(backend, self._order)
        with self._cache.locked(key) as place:
            notes = None if self._rebuild else self._cache.find(place, key)
            if notes is not None:
                try:
                    engine = backend.load(self._order, place)
                    allow(engine, self._order, float(notes["deviation"]), self._tolerance)
                    return engine
                except (BackendError, KeyError, ValueError) as error:
                    log.warning("the engine in %s is built anew: %s", place, error)
            made: list[Engine] = []

            def build(folder: Path) -> dict[str, float]:
                engine, away = self._built(backend, folder)
                made.append(engine)
                return {"deviation": away}

            self._cache.store(place, key, build)
            return made[0]

    def _built(self, backend: Backend, folder: Path) -> tuple[Engine, float]:
        order = self._order
        self._progress(f"building {order.name} for {backend.name} in {order.precision}, batch up to {order.batch}")
        begin = time.monotonic()
        backend.build(order, folder)
        self._progress(f"built in {time.monotonic() - begin:.0f} s; loading it and comparing it to the model")
        return self._checked(backend.load(order, folder))

    def _checked(self, engine: Engine) -> tuple[Engine, float]:
        if engine.backend == "torch" and engine.precision == "fp32":  # this is the model itself
            return engine, 0.0
        found = deviation(engine, self._order.net().eval(), self._order.examples())
        allow(engine, self._order, found.largest, self._tolerance)
        self._progress(f"{engine.backend} in {engine.precision} is within {found.largest:.1e} of the model")
        return engine, found.largest


def _race(engines: list[Engine], order: Order) -> dict[str, float]:
    """Seconds of one pass, by backend: medians of passes in turns, so that all meet the same machine."""
    inputs = order.noise()
    taken: dict[str, list[float]] = {engine.backend: [] for engine in engines}
    for number in range(_WARM_UP + _ROUNDS):
        for engine in engines:
            begin = time.perf_counter()
            engine(*inputs)
            if number >= _WARM_UP:
                taken[engine.backend].append(time.perf_counter() - begin)
    return {name: median(values) for name, values in taken.items()}
