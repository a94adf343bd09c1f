"""Movements of the label `other`: fidgeting, looking about, pointing, stretching, and random movements."""

from __future__ import annotations

from collections.abc import Callable

from fluxformer_core.actor.footwork import jump, turn
from fluxformer_core.actor.pose import REST, Motion, Variation, mirrored


def pastime(v: Variation) -> Motion:
    """A random movement of the label `other`."""
    kinds: tuple[Callable[[Variation], Motion], ...] = (
        _fidget, _fidget, _look_about, _touch_head, _hands_on_hips, _point, _bow, _stretch, _kick, jump, turn,
        _sway, _sway, _made_up, _made_up, _made_up, _made_up, _made_up, _made_up,
    )  # fmt: skip
    return kinds[int(v.rng.integers(len(kinds)))](v)


def _side(v: Variation) -> str:
    return "right" if v.chance(0.5) else "left"


def _to(m: Motion, side: str, seconds: float, hand: tuple[float, float, float]) -> None:
    m.key(f"{side}_hand", seconds, hand if side == "right" else mirrored(hand))


def _fidget(v: Variation) -> Motion:
    """The hands move to random places and back."""
    m, clock, low = Motion(v), 0.0, REST["right_hand"][1]
    for _ in range(int(v.rng.integers(1, 4))):
        side = _side(v)
        clock += v.uniform(0.3, 0.9)
        for _ in range(int(v.rng.integers(1, 4))):
            _to(m, side, clock, (v.uniform(-0.5, 0.5), v.uniform(low, 0.0), v.uniform(0.15, 0.55)))
            clock += v.uniform(0.25, 0.8)
        _to(m, side, clock, (0.1, -0.97, 0.1))
    m.at(0.5 * clock, twist=v.uniform(-15.0, 15.0), look=v.uniform(-30.0, 30.0), pitch=v.uniform(-3.0, 12.0))
    return m.lasts(clock + v.uniform(0.3, 0.8))


def _look_about(v: Variation) -> Motion:
    """The head turns from side to side, the trunk a little."""
    m, clock, side = Motion(v), 0.0, float(v.rng.choice((-1.0, 1.0)))
    for _ in range(int(v.rng.integers(1, 4))):
        clock += v.uniform(0.5, 1.2)
        m.at(clock, look=side * v.uniform(20.0, 60.0), twist=-side * v.uniform(0.0, 12.0))
        side = -side
    return m.lasts(clock + v.uniform(0.5, 1.0))


def _touch_head(v: Variation) -> Motion:
    """A hand to the head: scratching, holding a telephone, drinking."""
    m, side, clock = Motion(v), _side(v), v.uniform(0.5, 0.9)
    place = (v.uniform(-0.3, -0.1), v.uniform(0.2, 0.5), v.uniform(0.15, 0.42))
    for _ in range(int(v.rng.integers(1, 5))):
        _to(m, side, clock, place)
        clock += v.uniform(0.12, 0.5)
    _to(m, side, clock, place)
    return m.lasts(clock + v.uniform(0.6, 1.0))


def _hands_on_hips(v: Variation) -> Motion:
    m, clock = Motion(v), v.uniform(0.5, 0.8)
    for moment in (clock, clock + v.uniform(0.4, 2.0)):
        m.both(moment, (0.05, -0.62, 0.12)).at(moment, right_elbow=(1.0, -0.2, -0.4), left_elbow=(-1.0, -0.2, -0.4))
    return m.lasts(moment + v.uniform(0.5, 0.9))


def _point(v: Variation) -> Motion:
    """An arm stretched to a random place for a while."""
    m, side, clock = Motion(v), _side(v), v.uniform(0.4, 0.7)
    place = (v.uniform(0.0, 0.9), v.uniform(-0.1, 0.3), v.uniform(0.25, 0.6))
    for moment in (clock, clock + v.uniform(0.4, 1.5)):
        _to(m, side, moment, place)
    return m.lasts(moment + v.uniform(0.5, 0.8))


def _bow(v: Variation) -> Motion:
    """The trunk bends and rises; nothing is picked up."""
    m, clock, low = Motion(v), v.uniform(0.5, 0.9), v.uniform(25.0, 70.0)
    for moment in (clock, clock + v.uniform(0.1, 0.8)):
        m.at(moment, pitch=low, nod=10.0, root=(0.0, 0.0, -0.05))
    return m.lasts(moment + v.uniform(0.6, 1.0))


def _stretch(v: Variation) -> Motion:
    """Both arms go up and out, slowly, and down again."""
    m, clock, out = Motion(v), v.uniform(0.8, 1.3), v.uniform(0.1, 0.6)
    for moment in (clock, clock + v.uniform(0.3, 1.2)):
        m.both(moment, (out, v.uniform(0.6, 0.8), 0.05)).at(moment, pitch=-5.0, nod=-10.0)
    return m.lasts(moment + v.uniform(0.8, 1.3))


def _kick(v: Variation) -> Motion:
    m, foot = Motion(v), _side(v)
    m.key(f"{foot}_foot", 0.3, (0.0, 0.06, -0.15))
    m.key(f"{foot}_foot", 0.55, (0.0, v.uniform(0.12, 0.35), v.uniform(0.35, 0.5)))
    m.at(0.55, pitch=-8.0)
    return m.lasts(v.uniform(1.0, 1.4))


def _sway(v: Variation) -> Motion:
    """The weight shifts from one leg to the other and back, with the trunk; the feet stay in place."""
    m, clock, side, wide = Motion(v), 0.0, float(v.rng.choice((-1.0, 1.0))), v.uniform(0.02, 0.09)
    for _ in range(int(v.rng.integers(1, 6))):
        clock += v.uniform(0.4, 1.1)
        root, roll = (side * wide * v.uniform(0.7, 1.0), -0.1 * wide, 0.0), side * wide * v.uniform(-20.0, 90.0)
        m.at(clock, root=root, roll=roll)
        side = -side
    return m.lasts(clock + v.uniform(0.5, 0.9))


def _made_up(v: Variation) -> Motion:
    """A random movement of hands, trunk and feet, perhaps repeated.

    A model that was trained on many such movements mistakes fewer unknown movements for actions.
    """
    m = Motion(v)
    times = int(v.rng.integers(2, 5)) if v.chance(0.3) else 1
    # Both arms alike and repeated would look like waving or clapping.
    arms, body, leg = int(v.rng.integers(3 if times == 1 else 2)), v.chance(0.5), v.chance(0.3)
    side, foot = _side(v), _side(v)
    beats = [_beat(v) for _ in range(int(v.rng.integers(2, 5)))]
    clock = v.uniform(0.1, 0.4)
    for _ in range(times):
        for pause, hand, hand_too, channels, step in beats:
            clock += pause
            if arms == 0:  # one arm, or both independently, or both alike
                _to(m, side, clock, hand)
            else:
                m.key("right_hand", clock, hand)
                m.key("left_hand", clock, mirrored(hand_too if arms == 1 else hand))
            if body:
                m.at(clock, **channels)
            if leg:
                m.key(f"{foot}_foot", clock, step)
    return m.lasts(clock + v.uniform(0.5, 1.0))


Place = tuple[float, float, float]
Beat = tuple[float, Place, Place, dict[str, float | Place], Place]
"""Seconds since the previous beat, places of both hands, channels of the trunk, and the place of a foot."""


def _beat(v: Variation) -> Beat:
    def hand() -> Place:
        return (v.uniform(-0.5, 0.8), v.uniform(-0.9, 0.9), v.uniform(0.05, 0.75))

    channels: dict[str, float | Place] = {
        "twist": v.uniform(-35.0, 35.0),
        "pitch": v.uniform(-8.0, 40.0),
        "roll": v.uniform(-12.0, 12.0),
        "root": (v.uniform(-0.05, 0.05), v.uniform(-0.14, 0.0), v.uniform(-0.04, 0.04)),
    }
    step = (v.uniform(-0.12, 0.12), v.uniform(0.0, 0.15), v.uniform(-0.1, 0.25))
    return v.uniform(0.2, 0.7), hand(), hand(), channels, step
