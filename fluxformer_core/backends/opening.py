"""From a net to a net that runs: choice of the backend, the cache of built engines, and the parity check."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fluxformer_core.backends.base import Backend, BuildRequest, LoadedNet
from fluxformer_core.backends.cache import EngineCache, default_cache, key_of
from fluxformer_core.backends.openvino import OpenVinoBackend
from fluxformer_core.backends.parity import check_parity, measure_parity
from fluxformer_core.backends.tensorrt import TensorRtBackend
from fluxformer_core.backends.torch import CudaBackend, TorchBackend
from fluxformer_core.errors import BackendError, ConfigError

log = logging.getLogger(__name__)

Progress = Callable[[str], None]
"""Is called with a sentence before each step that takes long, and after it."""

_BACKENDS: dict[str, type[Backend]] = {
    backend.name: backend for backend in (TorchBackend, CudaBackend, OpenVinoBackend, TensorRtBackend)
}
_DIFFERENCE = "max_relative_difference"  # under which the cache notes the result of the parity check
_ROUNDS = 5  # timed passes of each candidate before `auto` chooses
_WARM_UP = 2  # passes before the timed ones


def create_backend(name: str) -> Backend:
    """The backend of a name; its `probe` tells whether the backend works here.

    Raises:
        ConfigError: if there is no backend of that name.
    """
    if name not in _BACKENDS:
        raise ConfigError(f"there is no backend {name!r}; known are {', '.join(_BACKENDS)}")
    return _BACKENDS[name]()


def candidates() -> tuple[Backend, ...]:
    """The backends that `auto` tries: the ones for the GPU if there is a GPU, else the ones for the CPU."""
    gpu, cpu = (CudaBackend, TensorRtBackend), (TorchBackend, OpenVinoBackend)
    return tuple(backend() for backend in (gpu if CudaBackend().probe("fp32") is None else cpu))


def open_net(
    request: BuildRequest,
    backend: str = "auto",
    *,
    cache: Path | None = None,
    tolerance: float | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> LoadedNet:
    """Load a net on one of `list_backends()`.

    A backend that compiles takes its engine from the cache or builds one; `rebuild` builds in any case. Every net
    except PyTorch in float32 passes the parity check. `auto` measures the backends that work here and logs which one it
    chose and why. Defaults: the user's own cache, the tolerance of the precision, and the log for progress.

    Raises:
        ConfigError: if there is no such backend.
        BackendError: if the backend does not work here, cannot compile the net, or fails the parity check. `auto`
            raises this only if no backend works.
    """
    opener = _Opener(request, EngineCache(cache or default_cache()), tolerance, rebuild, progress or log.info)
    return opener.fastest() if backend == "auto" else opener.open(create_backend(backend))


@dataclass(frozen=True)
class _Opener:
    request: BuildRequest
    cache: EngineCache
    tolerance: float | None
    rebuild: bool
    progress: Progress

    def open(self, backend: Backend) -> LoadedNet:
        if reason := backend.probe(self.request.precision):
            raise BackendError(f"backend {backend.name} cannot be used in {self.request.precision}: {reason}")
        if not backend.compiles:
            return self._checked(backend.load(self.request, Path()))[0]
        if not self.request.digest:
            with tempfile.TemporaryDirectory(prefix="fluxformer") as aside:
                return self._built(backend, Path(aside))[0]
        return self._from_cache(backend)

    def fastest(self) -> LoadedNet:
        nets, reasons = [], []
        for backend in candidates():
            try:
                nets.append(self.open(backend))
            except BackendError as error:
                reasons.append(str(error))
        name = self.request.name
        if not nets:
            raise BackendError(f"no backend works here: {'; '.join(reasons)}")
        if len(nets) == 1:
            why = f"nothing else works: {'; '.join(reasons)}" if reasons else "it is the only one for this machine"
            log.info("auto: %s runs on %s, %s", name, nets[0].backend, why)
            return nets[0]
        times = _race(nets, self.request)
        best = min(nets, key=lambda net: times[net.backend])
        listed = ", ".join(f"{name} {1e3 * times[name]:.1f} ms" for name in sorted(times, key=times.__getitem__))
        log.info("auto: %s runs on %s, the fastest here: %s", name, best.backend, listed)
        return best

    def _from_cache(self, backend: Backend) -> LoadedNet:
        key = key_of(backend, self.request)
        with self.cache.locked(key) as place:
            notes = None if self.rebuild else self.cache.find(place, key)
            if notes is not None:
                try:
                    loaded = backend.load(self.request, place)
                    check_parity(loaded, self.request, float(notes[_DIFFERENCE]), self.tolerance)
                    return loaded
                except (BackendError, KeyError, ValueError) as error:
                    log.warning("the engine in %s is rebuilt: %s", place, error)
            made: list[LoadedNet] = []

            def build(folder: Path) -> dict[str, float]:
                loaded, difference = self._built(backend, folder)
                made.append(loaded)
                return {_DIFFERENCE: difference}

            self.cache.store(place, key, build)
            return made[0]

    def _built(self, backend: Backend, folder: Path) -> tuple[LoadedNet, float]:
        request = self.request
        self.progress(f"building {request.name} for {backend.name} in {request.precision}, batch up to {request.batch}")
        begin = time.monotonic()
        backend.build(request, folder)
        self.progress(f"built in {time.monotonic() - begin:.0f} s; loading it and comparing it to the model")
        return self._checked(backend.load(request, folder))

    def _checked(self, loaded: LoadedNet) -> tuple[LoadedNet, float]:
        if loaded.backend == "torch" and loaded.precision == "fp32":  # this is the model itself
            return loaded, 0.0
        found = measure_parity(loaded, self.request.net().eval(), self.request.examples()).max_relative_difference
        check_parity(loaded, self.request, found, self.tolerance)
        self.progress(f"{loaded.backend} in {loaded.precision} is within {found:.1e} of the model")
        return loaded, found


def _race(nets: list[LoadedNet], request: BuildRequest) -> dict[str, float]:
    """Median seconds of one pass, by backend. Passes alternate, so that all backends see the same load."""
    inputs = request.noise()
    taken: dict[str, list[float]] = {net.backend: [] for net in nets}
    for number in range(_WARM_UP + _ROUNDS):
        for net in nets:
            begin = time.perf_counter()
            net(*inputs)
            if number >= _WARM_UP:
                taken[net.backend].append(time.perf_counter() - begin)
    return {name: median(values) for name, values in taken.items()}
