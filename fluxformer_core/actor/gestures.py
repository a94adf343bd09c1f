"""Actions of the arms alone: swipes, waving, clapping, drawing in the air, knocking, pushing."""

from __future__ import annotations

import numpy as np

from fluxformer_core.actor.pose import Motion, Variation, mirrored


def swipe_left(v: Variation) -> Motion:
    """The right hand goes out to the right, then crosses in front of the body to the left, and stays a moment."""
    m, a = Motion(v), v.amplitude
    high, out = v.uniform(-0.14, 0.14), v.uniform(0.6, 1.0)
    m.at(0.26, right_hand=(0.5, -0.62, 0.3))
    m.at(0.58, right_hand=(0.68 * a * out, -0.14 + high, 0.5), twist=7.0)
    m.at(0.80, right_hand=(0.24, 0.12 + high, 0.72), right_elbow=(0.3, -1.0, -0.2))
    m.at(0.98, right_hand=(-0.35, 0.14 + high, 0.80))
    m.at(1.12, right_hand=(-0.74 * a, 0.04 + high, 0.56), twist=-9.0)
    hold = v.uniform(0.08, 0.35)
    m.at(1.12 + hold, right_hand=(-0.72 * a, 0.02 + high, 0.56), twist=-9.0)
    m.at(1.42 + hold, right_hand=(-0.22, -0.52, 0.58), right_elbow=(0.5, -1.0, -0.5))
    return m.lasts(1.78 + hold)


def swipe_right(v: Variation) -> Motion:
    """The right hand crosses to the left first, then sweeps in front of the body to the right, and stays a moment."""
    m, a = Motion(v), v.amplitude
    high = v.uniform(-0.14, 0.14)
    m.at(0.30, right_hand=(-0.16, -0.55, 0.5))
    m.at(0.60, right_hand=(-0.64 * a, 0.02 + high, 0.55), twist=-8.0)
    wait = v.uniform(0.0, 0.15)
    m.at(0.66 + wait, right_hand=(-0.66 * a, 0.06 + high, 0.55), twist=-8.0)
    m.at(0.84 + wait, right_hand=(-0.15, 0.2 + high, 0.76), right_elbow=(0.3, -1.0, -0.2))
    m.at(0.98 + wait, right_hand=(0.38, 0.18 + high, 0.66))
    m.at(1.14 + wait, right_hand=(0.74 * a, 0.12 + high, 0.4), twist=6.0)
    hold = wait + v.uniform(0.08, 0.35)
    m.at(1.14 + hold, right_hand=(0.76 * a, 0.08 + high, 0.38), twist=6.0)
    m.at(1.44 + hold, right_hand=(0.62, -0.6, 0.25), right_elbow=(0.5, -1.0, -0.5))
    return m.lasts(1.80 + hold)


def wave(v: Variation) -> Motion:
    """The right hand beside the head, forearm swinging from side to side; some wave both arms, or over the head."""
    if v.seconds is None and v.chance(0.35):
        return _wave_widely(v)
    both = v.seconds is None and v.chance(0.2)
    leisurely = v.seconds is None and v.chance(0.25)
    period = v.uniform(0.52, 1.1) if leisurely else v.uniform(0.32, 0.52)
    times = v.repetitions(2, 4 if leisurely else 7, period, 1.2)
    height = v.uniform(0.65, 0.85) if v.chance(0.25) else v.uniform(0.06, 0.45)
    outside = (v.uniform(0.08, 0.42) * v.amplitude, height, 0.48)
    inside = (v.uniform(-0.42, -0.12), height - 0.04, 0.52)
    m = Motion(v)
    for side in ("right", "left") if both else ("right",):
        placed = mirrored if side == "left" else tuple
        m.key(f"{side}_hand", 0.28, placed((0.38, -0.42, 0.5)))
        clock = 0.52
        m.key(f"{side}_hand", clock, placed(outside))
        m.key(f"{side}_elbow", clock, placed((0.3, -1.0, 0.0)))
        for _ in range(times):
            m.key(f"{side}_hand", clock + 0.5 * period, placed(inside))
            m.key(f"{side}_hand", clock + period, placed(outside))
            clock += period
        m.key(f"{side}_elbow", clock, placed((0.3, -1.0, 0.0)))
        m.key(f"{side}_hand", clock + 0.28, placed((0.3, -0.45, 0.52)))
    m.at(clock, roll=0.0)
    m.perhaps_aside(0.2)
    return m.lasts(clock + 0.6)


def _wave_widely(v: Variation) -> Motion:
    """Stretched arms, one or both, swinging between the side, or all the way down, and overhead."""
    period = v.uniform(0.5, 2.2)
    times = v.repetitions(2, 4, period, 1.2)
    low, high = v.uniform(-0.85, 0.5), v.uniform(0.75, 0.95)
    outside, inside = ((1 - low * low) ** 0.5 * 0.95, low, 0.12), (v.uniform(-0.15, 0.4), high, 0.15)
    hands = ("right_hand", "left_hand") if v.chance(0.7) else ("right_hand",)
    m, lead = Motion(v), v.uniform(0.4, 0.7)
    for name in hands:
        side = mirrored if name == "left_hand" else tuple
        m.key(name, lead, side(outside))
        clock = lead
        for _ in range(times):
            m.key(name, clock + 0.5 * period, side(inside))
            m.key(name, clock + period, side(outside))
            clock += period
    return m.lasts(clock + v.uniform(0.5, 0.7))


def clap(v: Variation) -> Motion:
    """Both hands meet before the chest or the face again and again, from close by or with a swing of the arms."""
    period = v.uniform(0.26, 0.42)
    times = v.repetitions(2, 9, period, 1.15)
    height, ahead = v.uniform(-0.16, 0.3), v.uniform(0.42, 0.6)
    wide = v.seconds is None and v.chance(0.4)
    gap = (v.uniform(0.3, 0.95) if wide else v.uniform(0.06, 0.2)) * v.amplitude
    back, rise = 0.05, 0.02
    if wide:
        period *= v.uniform(1.2, 2.4)
        back += 0.25 * gap
    if wide and v.chance(0.6):  # in an arc that begins beside the hips, or above the head
        height, rise = v.uniform(-0.5, 0.2), v.uniform(-0.55, 0.45)
    together, apart = (-0.215, height, ahead), (-0.215 + gap, height + rise, ahead - back)
    m = Motion(v)
    m.both(0.28, (v.uniform(0.04, 0.3), -0.62, 0.45)).both(0.56, apart, precise=True)
    clock = 0.56
    for _ in range(times):
        m.both(clock + 0.5 * period, together, precise=True)
        m.both(clock + period, apart, precise=True)
        clock += period
    out = v.uniform(0.15, 0.5)  # elbows
    for moment in (0.56, clock):
        m.at(moment, right_elbow=(out, -1.0, -0.2), left_elbow=(-out, -1.0, -0.2))
    m.both(clock + 0.3, (0.12, -0.62, 0.5))
    m.perhaps_aside(0.2)
    return m.lasts(clock + 0.62)


def arm_cross(v: Variation) -> Motion:
    """Both forearms cross before the chest and stay."""
    height, over = v.uniform(-0.16, 0.1), v.uniform(0.38, 0.5)
    hold = v.uniform(0.5, 1.3) if v.seconds is None else max(0.3, v.seconds - 1.6)
    right_first = 0.07 if v.chance(0.5) else -0.07
    m = Motion(v)
    m.both(0.28, (v.uniform(0.08, 0.3), -0.72, 0.4))
    m.both(0.52, (-0.04, -0.32, 0.5))
    for clock in (0.80, 0.80 + hold):
        m.at(clock, right_hand=(-over, height - right_first, 0.36 + right_first))
        m.at(clock, left_hand=(over, height + right_first, 0.36 - right_first))
        m.at(clock, right_elbow=(0.5, -1.0, 0.0), left_elbow=(-0.5, -1.0, 0.0))
    m.both(1.10 + hold, (-0.04, -0.38, 0.5))
    m.both(1.34 + hold, (v.uniform(0.08, 0.3), -0.75, 0.36))
    return m.lasts(1.64 + hold)


def _circle(v: Variation, direction: float) -> Motion:
    # An angle grows counter-clockwise in the image: x is to the right, y up.
    wide, tall = v.uniform(0.28, 0.56) * v.amplitude, v.uniform(0.34, 0.58) * v.amplitude
    middle, side = v.uniform(0.04, 0.22), v.uniform(-0.22, 0.06)
    reach = v.uniform(0.55, 0.9)  # squared: a loosely or fully stretched arm
    turn = v.uniform(0.85, 1.3)  # s per turn
    begin = -90.0 if direction < 0 else v.uniform(-70.0, 0.0)
    end = v.uniform(90.0, 180.0) if v.chance(0.75) else v.uniform(0.0, 60.0)
    angle = 360.0 + end if direction < 0 else 360.0 + 90.0 - begin + v.uniform(-60.0, 30.0)
    m, lead, length = Motion(v), 0.45, turn * angle / 360.0
    steps = max(8, round(angle / 30.0))
    for step in range(steps + 1):
        theta = np.radians(begin + direction * angle * step / steps)
        x, y = side + wide * np.cos(theta), middle + tall * np.sin(theta)
        ahead = np.sqrt(max(0.16, reach - x * x - y * y))
        hand, twist = (float(x), float(y), float(ahead)), float(9.0 * np.cos(theta))
        m.at(lead + length * step / steps, right_hand=hand, twist=twist)
    m.at(lead, right_elbow=(0.3, -1.0, -0.2)).at(lead + length, right_elbow=(0.3, -1.0, -0.2))
    hold = v.uniform(0.0, 0.3)
    m.at(lead + length + 0.4 + hold, right_hand=(0.3, -0.5, 0.55))
    return m.lasts(lead + length + 0.8 + hold)


def draw_circle_cw(v: Variation) -> Motion:
    """The right hand draws a large circle in the air: left, up, right, down."""
    return _circle(v, -1.0)


def draw_circle_ccw(v: Variation) -> Motion:
    """The right hand draws a large circle in the air: right, up, left, down."""
    return _circle(v, 1.0)


def draw_x(v: Variation) -> Motion:
    """Two crossing strokes: from the upper right down to the left, from the upper left down to the right."""
    m, a, clock = Motion(v), v.amplitude, 0.58
    stroke = v.uniform(0.28, 0.44)
    m.at(0.28, right_hand=(0.42, -0.4, 0.48))
    m.at(clock, right_hand=(0.28 * a, 0.58, 0.5), right_elbow=(0.3, -1.0, -0.2), twist=4.0)
    m.at(clock + 0.1, right_hand=(0.26 * a, 0.58, 0.52))
    m.at(clock + 0.1 + 0.55 * stroke, right_hand=(-0.08, 0.2, 0.74))
    clock += 0.1 + stroke
    m.at(clock, right_hand=(-0.56 * a, -0.16, 0.6), twist=-9.0)
    m.at(clock + 0.42, right_hand=(-0.52 * a, 0.5, 0.54), twist=-7.0)
    clock += 0.5
    m.at(clock, right_hand=(-0.52 * a, 0.5, 0.54))
    m.at(clock + 0.5 * stroke, right_hand=(-0.08, 0.16, 0.74))
    clock += stroke
    m.at(clock, right_hand=(0.36 * a, -0.3, 0.64), right_elbow=(0.6, -1.0, -0.4), twist=3.0)
    m.at(clock + 0.14, right_hand=(0.36 * a, -0.34, 0.64))
    return m.lasts(clock + 0.14 + v.uniform(0.5, 0.7))


def draw_triangle(v: Variation) -> Motion:
    """From the top down to the left, across to the right, and back to the top."""
    m, a, clock = Motion(v), v.amplitude, 0.72
    stroke = v.uniform(0.32, 0.48)
    top, base, side = v.uniform(0.44, 0.72), v.uniform(-0.14, 0.08), v.uniform(-0.2, 0.05)
    m.at(0.32, right_hand=(0.36, -0.35, 0.5))
    m.at(clock, right_hand=(side, top, 0.54), right_elbow=(0.3, -1.0, -0.2))
    m.at(clock + 0.08, right_hand=(side - 0.02, top, 0.54))
    m.at(clock + 0.08 + 0.5 * stroke, right_hand=(0.5 * side - 0.28, 0.5 * (top + base), 0.7))
    clock += 0.08 + stroke
    m.at(clock, right_hand=(-0.60 * a, base, 0.58), twist=-8.0)
    m.at(clock + 0.08, right_hand=(-0.60 * a, base, 0.58))
    m.at(clock + 0.08 + 0.5 * stroke, right_hand=(0.02, base, 0.85))
    clock += 0.08 + stroke
    m.at(clock, right_hand=(0.42 * a, base, 0.68), twist=5.0)
    m.at(clock + 0.08, right_hand=(0.42 * a, base, 0.68))
    m.at(clock + 0.08 + 0.5 * stroke, right_hand=(0.5 * side + 0.22, 0.5 * (top + base), 0.68))
    clock += 0.08 + stroke
    hold = v.uniform(0.1, 0.4)
    m.at(clock, right_hand=(side, top, 0.54), twist=0.0)
    m.at(clock + hold, right_hand=(side, top, 0.54), right_elbow=(0.3, -1.0, -0.2))
    m.at(clock + hold + 0.4, right_hand=(0.25, -0.35, 0.58))
    return m.lasts(clock + hold + 0.8)


def knock(v: Variation) -> Motion:
    """The right fist at head height taps a door in front."""
    period = v.uniform(0.24, 0.38)
    times = v.repetitions(2, 5, period, 1.5)
    height, side = v.uniform(0.1, 0.38), v.uniform(-0.22, 0.06)
    back, front = (side + 0.05, height + 0.12, 0.42), (side, height, 0.68)
    m, clock = Motion(v), 0.64
    m.at(0.32, right_hand=(0.12, -0.3, 0.5))
    m.at(clock, right_hand=back, right_elbow=(0.2, -1.0, 0.0))
    for _ in range(times):
        m.at(clock + 0.45 * period, right_hand=front)
        m.at(clock + period, right_hand=back)
        clock += period
    m.at(clock, right_elbow=(0.2, -1.0, 0.0))
    m.at(clock + 0.38, right_hand=(0.12, -0.35, 0.5))
    return m.lasts(clock + 0.78)


def push(v: Variation) -> Motion:
    """Both hands beside the shoulders, then straight to the front, and back."""
    m, height, hold = Motion(v), v.uniform(-0.12, 0.12), v.uniform(0.1, 0.4)
    m.both(0.30, (0.08, -0.5, 0.42))
    m.both(0.62, (0.10, -0.04 + height, 0.28)).both(0.80, (0.10, 0.02 + height, 0.26)).at(0.80, pitch=-4.0)
    for clock, lean in ((1.14, 7.0), (1.14 + hold, 6.0)):
        m.both(clock, (-0.14, 0.10 + height, 0.92)).at(clock, pitch=lean)
    for clock in (0.62, 1.46 + hold):
        m.at(clock, right_elbow=(0.4, -1.0, -0.3), left_elbow=(-0.4, -1.0, -0.3))
    m.both(1.46 + hold, (0.06, -0.14, 0.5)).both(1.66 + hold, (0.2, -0.64, 0.42))
    return m.lasts(1.98 + hold)


def catch(v: Variation) -> Motion:
    """The right hand reaches up to the front, closes, and draws down to the belly."""
    m, hold, side, up = Motion(v), v.uniform(0.1, 0.7), v.uniform(-0.16, 0.14), v.uniform(0.45, 0.8)
    m.at(0.28, right_hand=(0.22, -0.25, 0.42))
    m.at(0.58, right_hand=(side, up, 0.58), right_elbow=(0.6, -0.8, 0.0), nod=-8.0)
    m.at(0.58 + hold, right_hand=(side, up - 0.02, 0.60), nod=-8.0)
    m.at(0.84 + hold, right_hand=(side + 0.02, 0.15, 0.56), right_elbow=(0.5, -1.0, -0.3))
    m.at(1.08 + hold, right_hand=(0.08, -0.2, 0.46), nod=3.0)
    m.at(1.32 + hold, right_hand=(0.1, -0.55, 0.5))
    return m.lasts(1.66 + hold)


def arm_curl(v: Variation) -> Motion:
    """Both forearms bend up to the shoulders, stay, and go down again, elbows at the sides."""
    times = v.repetitions(1, 1, 1.2, 1.1) if v.seconds is not None or v.chance(0.8) else 2
    hold = v.uniform(0.05, 1.4) if times == 1 else 0.08
    m, clock = Motion(v), 0.0
    high, inside = v.uniform(-0.06, 0.2), v.uniform(-0.14, 0.02)
    for cycle in range(times):
        last = cycle == times - 1
        m.both(clock + 0.38, (0.06, -0.58, 0.56)).both(clock + 0.74, (inside, high, 0.36))
        m.both(clock + 0.74 + hold, (inside, high, 0.36)).both(clock + 1.12 + hold, (0.06, -0.58, 0.56))
        clock += 1.12 + hold + (0.38 if last else 0.30)
        if not last:
            m.both(clock, (0.10, -0.95, 0.16))
    m.at(0.6, right_elbow=(0.3, -1.0, -0.5), left_elbow=(-0.3, -1.0, -0.5))
    return m.lasts(clock)
