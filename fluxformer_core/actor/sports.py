"""Actions of a player: throwing, hitting, boxing, bowling."""

from __future__ import annotations

from fluxformer_core.actor.pose import Motion, Variation, mirrored


def _overhand(m: Motion, clock: float) -> float:
    """Wind up and throw from wherever the right hand is at the clock; returns when the arm may go to rest."""
    v, a = m.variation, m.variation.amplitude
    over = v.uniform(0.65, 0.98)
    m.at(clock + 0.26, right_hand=(0.56, -0.48, -0.1))
    m.at(clock + 0.52, right_hand=(0.58 * a, 0.05, -0.36), right_elbow=(0.6, -0.9, -0.2), twist=24.0 * a)
    m.at(clock + 0.76, right_hand=(0.38, 0.34, -0.24), right_elbow=(1.0, -0.4, 0.0), twist=26.0 * a, pitch=-5.0)
    clock += v.uniform(0.0, 0.2)
    m.at(clock + 0.80, right_hand=(0.36, 0.38, -0.22), twist=25.0 * a)
    m.at(clock + 0.96, right_hand=(0.16, over, 0.3), twist=2.0)
    m.at(clock + 1.06, right_hand=(-0.02, 0.75 * over, 0.64), right_elbow=(0.8, -0.6, 0.0), twist=-10.0 * a, pitch=7.0)
    m.at(clock + 1.24, right_hand=(0.0, v.uniform(0.15, 0.4), 0.80), pitch=8.0)
    m.at(clock + 1.48, right_hand=(0.05, -0.05, 0.66), right_elbow=(0.5, -1.0, -0.5), twist=-8.0)
    return clock + 1.48


def throw(v: Variation) -> Motion:
    """The right hand goes far back, then over the shoulder to the front."""
    m = Motion(v)
    clock = _overhand(m, 0.0)
    return m.lasts(clock + v.uniform(0.55, 0.75))


def pickup_and_throw(v: Variation) -> Motion:
    """Bend to the floor, take something with the right hand, rise, and throw it."""
    m, knees, low, grab = Motion(v), v.uniform(0.02, 0.14), v.uniform(70.0, 95.0), v.uniform(0.1, 0.4)
    for clock in (0.72, 0.72 + grab):
        m.at(clock, root=(0.0, -0.03 - knees, -0.09), pitch=low, roll=4.0, nod=10.0)
        m.at(clock, right_hand=(0.12, -0.95, 0.28), left_hand=(-0.1, -0.8, 0.3))
    up = 1.42 + grab
    m.at(0.42, right_hand=(0.3, -0.85, 0.3))
    m.at(up - 0.25, right_hand=(0.15, -0.8, 0.35))
    m.at(up, root=(0.0, 0.0, 0.0), pitch=6.0, nod=0.0, roll=0.0, left_hand=(-0.14, -0.97, 0.1))
    m.at(up + 0.05, right_hand=(0.3, -0.4, 0.4))
    clock = _overhand(m, up)
    return m.lasts(clock + v.uniform(0.5, 0.7))


def boxing(v: Variation) -> Motion:
    """Fists before the chin, punching to the front in turn."""
    period = v.uniform(0.4, 0.75) if v.seconds is None and v.chance(0.3) else v.uniform(0.25, 0.38)
    times = v.repetitions(3, 10, period, 1.2)
    m, a, guard = Motion(v), v.amplitude, (-0.16, -0.02, 0.38)
    m.both(0.28, (0.05, -0.5, 0.45)).both(0.58, guard)
    m.at(0.58, right_elbow=(0.5, -1.0, 0.0), left_elbow=(-0.5, -1.0, 0.0))
    side = 1.0 if v.chance(0.5) else -1.0
    clock = 0.62
    for _ in range(times):
        name, other = ("right_hand", "left_hand") if side > 0 else ("left_hand", "right_hand")
        target, home = (-0.3, 0.17 + v.uniform(-0.06, 0.1), 0.9), guard
        if side < 0:
            target, home = mirrored(target), mirrored(home)
        m.key(name, clock, home)
        m.key(other, clock, mirrored(home))
        m.key(name, clock + 0.48 * period, target)
        m.at(clock, twist=0.0).at(clock + 0.48 * period, twist=-side * 20.0 * a)
        clock += period
        side = -side
    m.both(clock, guard).at(clock, twist=0.0, right_elbow=(0.5, -1.0, 0.0), left_elbow=(-0.5, -1.0, 0.0))
    m.both(clock + 0.3, (0.06, -0.55, 0.45))
    m.perhaps_aside(0.45)
    return m.lasts(clock + 0.62)


def basketball_shoot(v: Variation) -> Motion:
    """Both hands take a ball from the belly to the brow, the knees dip, the arms shoot it up."""
    m, dip, single = Motion(v), v.uniform(0.01, 0.05), v.chance(0.5)
    m.both(0.34, (-0.02, -0.5, 0.5))
    for clock in (0.74, 0.74 + v.uniform(0.1, 0.3)):
        m.both(clock, (-0.14, 0.38, 0.4)).at(clock, right_elbow=(0.5, -1.0, 0.3), left_elbow=(-0.5, -1.0, 0.3))
    m.at(clock, root=(0.0, -dip, 0.0), pitch=3.0)
    up = clock + 0.3
    m.at(up, root=(0.0, 0.004, 0.0), pitch=-2.0, nod=-8.0)
    for moment in (up, up + v.uniform(0.2, 0.5)):
        m.at(moment, right_hand=(-0.08, 0.94, 0.3), right_elbow=(0.8, -0.4, 0.5), left_elbow=(-0.8, -0.6, 0.5))
        m.at(moment, left_hand=(0.2, 0.72, 0.4) if single else (0.08, 0.93, 0.3))
    m.at(moment, nod=-6.0)
    m.both(moment + 0.4, (-0.1, 0.15, 0.55)).both(moment + 0.66, (0.0, -0.5, 0.52))
    return m.lasts(moment + 1.04)


def bowling(v: Variation) -> Motion:
    """A step to the front with the left foot, bent low, the right arm swinging from far back to the front."""
    m, a = Motion(v), v.amplitude
    reach, low, bend = v.uniform(0.32, 0.48), v.uniform(0.09, 0.17), v.uniform(35.0, 60.0)
    m.at(0.30, left_foot=(0.0, 0.05, 0.5 * reach), left_heel=8.0, root=(0.0, -0.01, 0.3 * reach))
    m.at(0.30, right_hand=(0.12, -0.9, 0.3))
    m.at(0.62, left_foot=(0.025, 0.0, reach), left_heel=0.0, root=(0.0, -0.5 * low, 0.62 * reach), pitch=0.5 * bend)
    m.at(0.62, right_hand=(0.26, -0.8, -0.4), twist=16.0, left_hand=(-0.25, -0.9, 0.2))
    m.at(0.90, right_hand=(0.34, -0.45, -0.78 * a), right_elbow=(0.5, -0.6, -0.8), pitch=bend, twist=26.0, roll=9.0)
    m.at(0.62, right_heel=10.0, right_foot=(0.0, 0.02, 0.0))
    for clock in (0.95, 1.65):
        m.at(clock, root=(0.0, -low, 0.72 * reach), right_heel=42.0, right_foot=(0.0, 0.055, 0.03))
        m.at(clock, left_foot=(0.025, 0.0, reach), left_hand=(-0.16, -0.93, 0.25))
    m.at(1.18, right_hand=(0.1, -0.97, 0.1), twist=4.0, right_elbow=(0.5, -1.0, -0.5))
    m.at(1.36, right_hand=(-0.04, -0.35, 0.9), twist=-12.0, pitch=0.85 * bend, roll=0.0)
    m.at(1.52, right_hand=(-0.12, 0.15, 0.9), pitch=0.7 * bend)
    m.at(1.70, right_hand=(-0.1, 0.1, 0.88), twist=-12.0, pitch=0.65 * bend)
    m.at(2.05, right_hand=(0.1, -0.75, 0.5), pitch=0.2 * bend, twist=0.0)
    m.at(2.05, root=(0.0, -0.3 * low, 0.5 * reach), left_heel=0.0, left_foot=(0.025, 0.0, reach), right_heel=14.0)
    m.at(2.05, right_foot=(0.0, 0.015, 0.0))
    m.at(2.32, left_foot=(0.0, 0.05, 0.45 * reach), root=(0.0, -0.01, 0.15 * reach))
    return m.lasts(2.62)


def tennis_serve(v: Variation) -> Motion:
    """The left hand tosses a ball up while the right goes back; the right hits over the head and follows through."""
    m, a = Motion(v), v.amplitude
    m.at(0.34, left_hand=(0.1, -0.5, 0.6), right_hand=(0.3, -0.9, -0.05))
    m.at(0.72, left_hand=(0.44, 0.72, 0.45), right_hand=(0.68, -0.55, -0.38), twist=22.0 * a, nod=-10.0)
    m.at(0.92, left_hand=(0.46, 0.68, 0.45), right_hand=(0.82, -0.1, -0.45), twist=27.0 * a)
    m.at(0.92, right_elbow=(0.8, -0.8, -0.2))
    m.at(1.28, left_hand=(-0.05, 0.0, 0.5), right_hand=(0.55, 0.42, -0.32), twist=24.0 * a, nod=-10.0)
    m.at(1.28, right_elbow=(1.0, -0.4, 0.0))
    m.at(1.40, right_hand=(0.52, 0.46, -0.28), twist=22.0 * a)
    m.at(1.56, right_hand=(0.16, 1.0, 0.12), left_hand=(-0.15, -0.6, 0.4), twist=0.0, nod=0.0)
    m.at(1.68, right_hand=(-0.12, 0.55, 0.78), right_elbow=(0.8, -0.6, 0.0), twist=-14.0 * a, pitch=8.0)
    m.at(1.82, right_hand=(-0.36, 0.05, 0.76), pitch=9.0, twist=-16.0 * a)
    m.at(2.02, right_hand=(-0.36, -0.42, 0.6), right_elbow=(0.5, -1.0, -0.5), twist=-12.0)
    return m.lasts(2.55)


def tennis_swing(v: Variation) -> Motion:
    """A forehand: the right arm far back beside the body, then up across to the left."""
    m, a = Motion(v), v.amplitude
    lean, rise, out = v.uniform(2.0, 14.0), v.uniform(-0.5, -0.05), v.uniform(0.45, 0.72) * a
    high = v.uniform(0.1, 0.46)  # the hand ends before the left shoulder or above it
    m.at(0.34, right_hand=(0.9 * out, -0.68, -0.1), twist=10.0)
    m.at(0.78, right_hand=(out, rise, -0.58), right_elbow=(0.7, -0.9, -0.1), twist=32.0 * a, roll=lean)
    m.at(0.78, left_hand=(-0.1, -0.8, 0.4))
    m.at(1.00, right_hand=(0.92 * out, rise - 0.15, -0.6), twist=34.0 * a, roll=lean, pitch=0.6 * lean)
    m.at(1.20, right_hand=(0.52, -0.68, 0.1), twist=14.0, pitch=lean, roll=lean, right_elbow=(0.5, -1.0, -0.5))
    m.at(1.34, right_hand=(-0.02, -0.1, 0.92), twist=-10.0, pitch=4.0, roll=0.0)
    for clock in (1.48, 1.48 + v.uniform(0.08, 0.3)):
        m.at(clock, right_hand=(-0.56, high, 0.56), right_elbow=(0.7, -0.9, 0.1), twist=-22.0 * a, pitch=0.0)
    m.at(clock, left_hand=(-0.2, -0.9, -0.1))
    m.at(clock + 0.32, right_hand=(-0.42, -0.2, 0.62), right_elbow=(0.5, -1.0, -0.5))
    return m.lasts(clock + 0.82)


def baseball_swing(v: Variation) -> Motion:
    """Both hands on a bat at the right shoulder, then flat around to the left."""
    m, a, hold, step = Motion(v), v.amplitude, v.uniform(0.2, 0.6), v.uniform(0.0, 0.12)
    m.at(0.34, right_hand=(0.35, -0.55, 0.3), left_hand=(0.45, -0.5, 0.5))
    for clock in (0.74, 0.74 + hold):
        m.at(clock, right_hand=(0.30, 0.12, 0.10), left_hand=(0.78, 0.05, 0.36), twist=24.0 * a, look=-18.0)
        m.at(clock, right_elbow=(1.0, -0.6, -0.4), left_elbow=(-0.4, -1.0, 0.3))
    clock = 0.74 + hold
    m.at(clock + 0.20, right_hand=(0.30, -0.06, 0.72), left_hand=(0.76, -0.02, 0.6), twist=8.0)
    m.at(clock + 0.32, right_hand=(-0.28, 0.02, 0.86), left_hand=(0.24, 0.0, 0.88), twist=-14.0 * a, look=-8.0)
    m.at(clock + 0.20, right_elbow=(0.8, -0.8, 0.0), left_elbow=(-0.6, -0.9, 0.0))
    for moment in (clock + 0.48, clock + 0.48 + v.uniform(0.15, 0.6)):
        m.at(moment, right_hand=(-0.88, 0.10, 0.30), left_hand=(-0.62, 0.18, 0.05), twist=-34.0 * a, look=0.0)
        m.at(moment, right_elbow=(0.6, -1.0, 0.2), left_elbow=(-0.6, -1.0, -0.2))
    m.at(clock, left_foot=(0.0, 0.0, 0.0))
    m.at(clock + 0.2, left_foot=(-step, 0.0, 0.02), root=(-0.4 * step, -0.1 * step, 0.0))
    m.at(moment, left_foot=(-step, 0.0, 0.02), root=(-0.5 * step, -0.1 * step, 0.0))
    m.at(moment + 0.36, right_hand=(-0.2, -0.5, 0.55), left_hand=(0.05, -0.75, 0.4), twist=-6.0)
    return m.lasts(moment + 0.8)
