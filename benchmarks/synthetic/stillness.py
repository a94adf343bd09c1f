"""Scenes without any action; every event in them is false."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.synthetic.scenery import RATE, SIDE, Picture, still
from benchmarks.synthetic.stream_bed import Scene
from fluxformer_core.actor import ActorStyle, Stage
from fluxformer_core.augment.backgrounds import backgrounds

_PAN = 0.05  # frame heights a second
_GRAIN = 2.0  # grey levels of an ordinary camera's noise

Draw = Callable[[int, np.random.Generator], Iterator[Picture]]


def standing(count: int, rng: np.random.Generator, noise: float = 1.0) -> Iterator[Picture]:
    """A person stands before a colour camera, sways and looks around."""
    style = replace(ActorStyle.sample(int(rng.integers(2**31))), noise=noise)
    film = Stage((), seed=int(rng.integers(2**31)), rate=RATE, size=(SIDE, SIDE), style=style, duration=count / RATE)
    for _, image in film:
        yield np.asarray(image, dtype=np.uint8)


def seen_in_depth(count: int, rng: np.random.Generator) -> Iterator[Picture]:
    """A person stands before a depth camera with noisy outlines."""
    shape: Picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    middle, grey = SIDE // 2 + int(rng.integers(-10, 10)), int(rng.integers(120, 200))
    cv2.rectangle(shape, (middle - 14, 40), (middle + 14, 120), (grey,) * 3, -1)
    cv2.circle(shape, (middle, 28), 9, (grey + 20,) * 3, -1)
    yield from still(shape, count, rng)


def empty_room(count: int, rng: np.random.Generator) -> Iterator[Picture]:
    """An empty room."""
    room = _room(rng)[:SIDE, :SIDE]
    return (_grainy(room, _GRAIN, rng) for _ in range(count))


def light_change(count: int, rng: np.random.Generator) -> Iterator[Picture]:
    """A person stands while clouds pass, and sometimes a lamp is switched."""
    lamp, cloud = 1.0, rng.uniform(0, 6.3)
    for i, picture in enumerate(standing(count, rng)):
        if rng.random() < 1 / (12 * RATE):
            lamp = rng.uniform(0.6, 1.25)
        light = lamp * (1 + 0.15 * np.sin(2 * np.pi * i / (20 * RATE) + cloud))
        yield np.asarray(np.clip(picture * light, 0, 255), dtype=np.uint8)


def slow_pan(count: int, rng: np.random.Generator) -> Iterator[Picture]:
    """The camera turns slowly left and right in an empty room."""
    room = _room(rng).astype(np.float32)
    span = len(room) - SIDE
    for i in range(count):
        way = _PAN * SIDE * i / RATE
        right = span - abs(way % (2 * span) - span)
        view = np.array([[1, 0, -right], [0, 1, -span / 2]])
        seen = cv2.warpAffine(room, view, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        yield _grainy(np.asarray(seen), _GRAIN, rng)


STILL: dict[str, Draw] = {
    "still person": standing,
    "still person, depth": seen_in_depth,
    "empty room": empty_room,
    "camera noise": partial(standing, noise=4.0),  # as in dim light
    "light change": light_change,
    "slow pan": slow_pan,
}


def stillness(seconds: float, seed: int = 0) -> list[Scene]:
    """One scene of each kind, all of equal length, with gaps between them."""
    count = max(1, round(seconds * RATE / len(STILL)))
    return [
        Scene(name, count, lambda draw=draw, i=i: draw(count, np.random.default_rng(seed + 1000 * i)), gap=True)
        for i, (name, draw) in enumerate(STILL.items())
    ]


def _room(rng: np.random.Generator) -> Picture:
    stock = backgrounds(SIDE)
    return np.asarray(stock[int(rng.integers(len(stock))), :, :, :3], dtype=np.uint8)


def _grainy(picture: npt.NDArray[Any], strength: float, rng: np.random.Generator) -> Picture:
    return np.asarray(np.clip(picture + rng.normal(0, strength, picture.shape), 0, 255), dtype=np.uint8)
