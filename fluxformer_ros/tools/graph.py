"""Player, recogniser and listener as three real processes over DDS, for the demo and the checks."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fluxformer_core.errors import FluxformerError
from fluxformer_core.types import SECOND
from fluxformer_ros.node.process import resource
from fluxformer_ros.tools.transcript import Transcript, read_transcript

_POLL = 0.1  # s
_START = 300.0  # s: for the recogniser to subscribe, on the slowest of machines
_DRAIN = 2.0  # s: for the last images to be recognised
_PATIENCE = 15.0  # s: for a process to end after it was asked to
_PR_SET_PDEATHSIG = 1  # prctl.h


class GraphError(FluxformerError):
    """A process of the graph failed; the message holds the error output of the process."""


@dataclass(frozen=True)
class PlayedFrame:
    """One line of the player's log."""

    stamp: int  # ns: as published
    source: int  # number of the source
    index: int  # of the frame in its source
    due: int  # ns since the playback began


@dataclass(frozen=True)
class Run:
    """What was played, and what was heard."""

    frames: list[PlayedFrame]
    transcript: Transcript

    @property
    def seconds(self) -> float:
        """Time between the stamps of the first and the last frame."""
        return (self.frames[-1].stamp - self.frames[0].stamp) / SECOND


def environment() -> dict[str, str]:
    """The environment of the processes: this machine only, and shared memory that holds images."""
    profile = str(resource("config/fastdds.xml"))
    local = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "PYTHONUNBUFFERED": "1"}
    # A domain of its own keeps out other demos and robots on this machine. The prefix finds the ROS wheels where no
    # environment is activated.
    defaults = {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "AMENT_PREFIX_PATH": sys.prefix}
    return {**defaults, **os.environ, **local, "FASTDDS_DEFAULT_PROFILES_FILE": profile}


class Graph:
    """Child processes that never outlive this one; a context manager."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="fluxformer_")
        self.folder = Path(self._temporary.name)  # for files that are deleted with the graph
        self.log = self.folder / "played.jsonl"  # where a player's `--log` is expected
        self._environment = environment()
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def playing(self) -> bool:
        """Whether the player has published an image."""
        return self.log.exists() and self.log.stat().st_size > 0

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_error: object) -> None:
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        for child in self._children.values():
            _end(child)
        self._temporary.cleanup()

    def start(self, name: str, module: str, *arguments: str, quiet: bool = False) -> None:
        """Start `python -m module arguments` under a name; quiet discards the standard output of the process."""
        with self._errors(name).open("wb") as errors, _uninterrupted():
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=self._environment,
                stdout=subprocess.DEVNULL if quiet else None,
                stderr=errors,
                start_new_session=True,  # Ctrl-C reaches the children through this process, once and in order
                preexec_fn=_prepare_child,  # noqa: PLW1509  # this process has no other threads
            )

    def running(self, name: str) -> bool:
        """Whether the process still runs; raises a GraphError if it ended with an exit code other than 0."""
        code = self._children[name].poll()
        if code:
            raise GraphError(f"{name} ended with exit code {code}:\n{self.said(name)}")
        return code is None

    def wait(self, *names: str) -> None:
        """Wait a moment; raises a GraphError if one of these processes has ended."""
        for name in names:
            if not self.running(name):
                raise GraphError(f"{name} ended early:\n{self.said(name)}")
        time.sleep(_POLL)

    def pid(self, name: str) -> int:
        """The process's number."""
        return self._children[name].pid

    def stop(self, name: str) -> None:
        """Interrupt a process and wait for its end; raises a GraphError without an end, or with a bad exit code."""
        child = self._children[name]
        child.send_signal(signal.SIGINT)
        if not _end(child):
            raise GraphError(f"{name} did not end within {_PATIENCE:.0f} s of Ctrl-C:\n{self.said(name)}")
        self.running(name)

    def said(self, name: str) -> str:
        """What the process wrote to its standard error."""
        return self._errors(name).read_text(encoding="utf-8", errors="replace").strip()

    def _errors(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def run_graph(
    player: Sequence[str],
    *,
    model: Path | None = None,
    parameters: Sequence[str] = (),
    quiet: bool = False,
    watch: Callable[[Graph], None] = lambda _graph: None,
) -> Run:
    """Play sources to a recogniser until their end.

    Args:
        player: arguments of player_node.
        model: file of the model; the shipped one if None.
        parameters: of the recogniser, each as `name:=value`.
        quiet: whether to suppress the events that the listener prints.
        watch: called several times a second while the player runs.

    Raises:
        GraphError: if a process fails, or if nothing was recognised; with the reason.
    """
    with Graph() as graph:
        values = [*([f"model:={model}"] if model else []), *parameters]
        arguments = ["--ros-args", *(word for value in values for word in ("-p", value))] if values else []
        record = graph.folder / "heard.jsonl"
        graph.start("recognizer", "fluxformer_ros.node.recognizer_node", *arguments)
        graph.start("listener", "fluxformer_ros.tools.listener_node", "--record", str(record), quiet=quiet)
        played = ["--log", str(graph.log), "--wait", str(_START), *player]
        graph.start("player", "fluxformer_ros.tools.player_node", *played, quiet=quiet)
        while graph.running("player"):
            graph.wait("recognizer", "listener")
            watch(graph)
        time.sleep(_DRAIN)
        graph.stop("recognizer")
        time.sleep(_DRAIN)
        graph.stop("listener")
        frames = [PlayedFrame(**json.loads(line)) for line in graph.log.read_text(encoding="utf-8").splitlines()]
        run = Run(frames, read_transcript(record))
        if not run.transcript.recognitions:
            status = run.transcript.statuses[-1].message if run.transcript.statuses else "it published no diagnostics"
            raise GraphError(f"nothing was recognised; the recogniser says: {status}\n{graph.said('recognizer')}")
        return run


def _end(child: subprocess.Popen[bytes]) -> bool:
    """Wait for a child that was asked to end; whether the child ended by itself."""
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False
    return True


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Postpone Ctrl-C: between the start of a child and its registration Ctrl-C would leave an orphan."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _prepare_child() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # The system ends the children if this process is killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
