"""Actions of the whole body: walking, jogging, squatting, lunging, sitting down and getting up, jumping, turning."""

from __future__ import annotations

from dataclasses import dataclass

from fluxformer_core.actor.pose import REST, SEATED, Motion, Variation


@dataclass(frozen=True)
class Gait:
    """A way of walking; lengths in body heights."""

    step: float  # s
    steps: int
    stride: float  # between the feet's foremost and hindmost place
    lift: float  # height to which a foot rises
    march: float  # 0: the standing foot slides back, as in walking; 1: both feet stay in place and the knees lift
    bob: float  # depth to which the pelvis sinks at each contact
    front: tuple[float, float, float]  # arm lengths: the right hand when it is ahead
    back: tuple[float, float, float]
    kick: float = 0.0  # height to which a foot is thrown up behind after leaving the ground, as in running

    def motion(self, v: Variation) -> Motion:
        """Steps in turn, each foot lifted for one step and carried back for the next; arms swing against them."""
        m, half, slide = Motion(v), 0.5 * self.stride * (1 - 0.7 * self.march), 1 - self.march
        swing, stand = ("left", "right") if v.chance(0.5) else ("right", "left")
        for number in range(self.steps):
            lift_off, contact = (number + 0.45) * self.step, (number + 0.95) * self.step
            last = number == self.steps - 1  # closes to the standing place
            forward = 0.0 if last else half * min(1.0, 0.75 + number)
            if self.kick > 0 and number > 0:
                m.key(f"{swing}_foot", (number + 0.2) * self.step, (0.0, self.kick, -0.8 * half))
                m.key(f"{swing}_heel", (number + 0.2) * self.step, 50.0)
            m.key(f"{swing}_foot", lift_off, (0.0, self.lift, 0.25 * forward + 2.0 * self.march * self.lift))
            m.key(f"{swing}_heel", lift_off, 12.0 + 14.0 * slide)
            m.key(f"{swing}_foot", contact, (0.0, 0.0, forward))
            m.key(f"{swing}_heel", contact, 0.0)
            m.key(f"{stand}_foot", contact, (0.0, 0.0 if last else 0.012 * slide, -forward))
            m.key(f"{stand}_heel", contact, 0.0 if last else 14.0 * slide)
            m.at(lift_off, root=(0.012 if stand == "right" else -0.012, 0.0, 0.0))
            if not last:
                m.at(contact, root=(0.0, -self.bob, 0.0), twist=-7.0 if stand == "right" else 7.0)
                for side, (x, y, z) in ((stand, self.front), (swing, self.back)):
                    m.key(f"{side}_hand", contact, (x if side == "right" else -x, y, z))
            swing, stand = stand, swing
        return m.lasts(self.steps * self.step)


def walk(v: Variation) -> Motion:
    """Walking: mostly on the spot as before a camera, sometimes towards it, away from it, or through the picture."""
    step = v.uniform(0.46, 0.66)
    on_the_spot = not v.travels or v.chance(0.45)
    swing = v.uniform(0.3, 0.55) * v.amplitude
    gait = Gait(
        step=step,
        steps=v.repetitions(5, 8, step, 0.0) if on_the_spot else v.repetitions(4, 7, step, 0.0),
        stride=(v.uniform(0.2, 0.3) if on_the_spot else v.uniform(0.3, 0.42)) * v.amplitude,
        lift=v.uniform(0.04, 0.07),
        march=v.uniform(0.0, 0.7) if on_the_spot else 0.0,
        bob=0.014,
        front=(-0.08, -0.86, swing),
        back=(0.16, -0.9, -0.7 * swing),
    )
    m = gait.motion(v)
    if on_the_spot:
        m.perhaps_aside(0.35)
    else:
        _travel(m, (gait.steps - 1) * gait.stride)
    return m


def jog(v: Variation) -> Motion:
    """Jogging on the spot or past the camera: quick steps, arms bent."""
    step = v.uniform(0.27, 0.38)
    on_the_spot = not v.travels or v.chance(0.5)
    gait = Gait(
        step=step,
        steps=v.repetitions(7, 11, step, 0.0) if on_the_spot else v.repetitions(4, 8, step, 0.0),
        stride=(v.uniform(0.2, 0.32) if on_the_spot else v.uniform(0.4, 0.55)) * v.amplitude,
        lift=v.uniform(0.08, 0.14) if on_the_spot else v.uniform(0.1, 0.2),
        march=v.uniform(0.2, 0.9) if on_the_spot else 0.0,
        bob=0.025,
        front=(-0.3, -0.3, 0.52 * v.uniform(0.8, 1.15)),
        back=(0.12, -0.5, 0.0),
        kick=v.uniform(0.04, 0.3) if v.travels and v.chance(0.8) else 0.0,
    )
    m = gait.motion(v)
    lean = 5.0 if on_the_spot else v.uniform(4.0, 14.0)
    for clock in (0.95 * step, (gait.steps - 1.05) * step):
        m.at(clock, right_elbow=(0.5, -1.0, -0.9), left_elbow=(-0.5, -1.0, -0.9), pitch=lean)
    if on_the_spot:
        m.perhaps_aside(0.35)
    else:
        # Between two steps of a run both feet leave the ground.
        _travel(m, v.uniform(1.2, 1.5) * (gait.steps - 1) * gait.stride)
    return m


def _travel(m: Motion, distance: float) -> None:
    """Move through the picture: mostly from side to side, else diagonally, or along the camera's axis."""
    v = m.variation
    side = 1.0 if v.chance(0.5) else -1.0
    if v.chance(0.65):
        heading = side * v.uniform(70.0, 110.0)
    elif v.chance(0.5):
        heading = side * v.uniform(25.0, 70.0)
        distance = min(distance, 1.0)
    else:
        heading = v.uniform(-15.0, 15.0) + (180.0 if v.chance(0.4) else 0.0)
        distance = min(distance, 0.8)  # the camera is not far
    m.walks(heading, distance)


def squat(v: Variation) -> Motion:
    """Hips down to the knees, perhaps with a pause, and up again; the arms to the front, up, or unchanged."""
    times = v.repetitions(1, 1, 1.7, 1.5)
    crouch = v.seconds is None and v.chance(0.4)
    depth = v.uniform(0.24, 0.33) if crouch else v.uniform(0.19, 0.28)
    stay = v.uniform(0.3, 1.6) if crouch else v.uniform(0.1, 0.3)
    aside, rise, reach = v.uniform(-0.25, 0.45), v.uniform(-0.1, 0.35), v.uniform(0.6, 0.85)
    up, low = (aside, rise, reach), (aside, min(rise, 0.0), reach)
    if crouch and v.chance(0.6):  # hands on the knees, or between them
        up = low = (v.uniform(-0.2, 0.1), v.uniform(-0.85, -0.6), v.uniform(0.25, 0.5))
    quiet = v.seconds is None and v.chance(0.35)
    if quiet:  # hanging, on the hips, or before the chest
        hanging, hips, chest = (0.1, -0.96, 0.08), (0.05, -0.62, 0.12), (-0.2, -0.25, 0.4)
        up = low = (hanging, hips, chest)[int(v.rng.integers(3))]
    m, clock = Motion(v), 1.0
    if not quiet and v.chance(0.5):
        m.both(0.34, (0.62, -0.62, 0.2))
    m.both(0.85, up).at(0.85, right_elbow=(0.7, -0.8, 0.0), left_elbow=(-0.7, -0.8, 0.0))
    for _ in range(times):
        m.both(clock, up).at(clock, root=(0.0, 0.0, 0.0), pitch=0.0)
        bottom = clock + v.uniform(0.55, 0.75)
        for moment in (bottom, bottom + stay):
            m.both(moment, low)
            m.at(moment, root=(0.0, -depth, -0.09), pitch=v.uniform(18.0, 32.0), nod=-12.0)
        clock = moment + v.uniform(0.55, 0.75)
        m.at(clock, root=(0.0, 0.0, 0.0), pitch=0.0, nod=0.0)
    spread = v.uniform(0.02, 0.05)
    for moment in (0.9, clock):
        m.at(moment, right_foot=(spread, 0.0, 0.0), left_foot=(-spread, 0.0, 0.0))
    m.at(clock, right_elbow=(0.7, -0.8, 0.0), left_elbow=(-0.7, -0.8, 0.0))
    m.both(clock + 0.12, up)
    if not quiet:
        m.both(clock + 0.45, (0.12, -0.5, 0.5))
    m.perhaps_aside(0.5)
    return m.lasts(clock + 0.85)


def lunge(v: Variation) -> Motion:
    """A long step of the left foot to the front, the right knee towards the floor, and back."""
    m, reach, low = Motion(v), v.uniform(0.4, 0.55), v.uniform(0.12, 0.19)
    hold, bend = v.uniform(0.15, 0.6), v.uniform(4.0, 22.0)
    m.at(0.36, left_foot=(0.01, 0.055, 0.5 * reach), left_heel=10.0, root=(0.0, -0.01, 0.3 * reach))
    m.at(0.72, left_foot=(0.02, 0.0, reach), left_heel=0.0, root=(0.0, -0.4 * low, 0.52 * reach), right_heel=14.0)
    m.at(0.72, right_foot=(0.0, 0.015, 0.01))
    for clock in (1.15, 1.15 + hold):
        m.at(clock, left_foot=(0.02, 0.0, reach), root=(0.0, -low, 0.66 * reach), pitch=bend, right_heel=48.0, nod=4.0)
        m.at(clock, right_foot=(0.0, 0.06, 0.04), right_hand=(0.16, -0.9, 0.3), left_hand=(-0.16, -0.9, 0.3))
    m.at(1.60 + hold, left_foot=(0.02, 0.0, reach), root=(0.0, -0.35 * low, 0.48 * reach), right_heel=12.0)
    m.at(1.60 + hold, right_foot=(0.0, 0.012, 0.01))
    m.at(1.98 + hold, left_foot=(0.01, 0.055, 0.4 * reach), left_heel=6.0, root=(0.0, -0.01, 0.15 * reach))
    m.perhaps_aside(0.35)
    return m.lasts(2.36 + hold)


def stand_to_sit(v: Variation) -> Motion:
    """Bend to the front and sit down on the stool behind."""
    m, bend, slow = Motion(v, end=SEATED), v.uniform(24.0, 42.0), v.uniform(0.9, 1.3)
    m.at(0.55 * slow, root=(0.0, -0.10, -0.13), pitch=bend).both(0.55 * slow, (0.02, -0.82, 0.42))
    m.at(0.95 * slow, root=(0.0, -0.245, -0.2), pitch=0.8 * bend, nod=8.0)
    m.at(1.10 * slow, root=SEATED["root"])
    m.perhaps_aside(0.5, 180.0)
    return m.lasts(1.60 * slow)


def sit_to_stand(v: Variation) -> Motion:
    """Bend to the front and rise from the stool."""
    m, bend, slow = Motion(v, start=SEATED), v.uniform(26.0, 45.0), v.uniform(0.9, 1.3)
    m.at(0.50 * slow, root=(0.0, -0.265, -0.19), pitch=bend, nod=6.0)
    m.at(0.62 * slow, root=(0.0, -0.235, -0.15)).both(0.62 * slow, (0.02, -0.76, 0.45))
    m.at(1.00 * slow, root=(0.0, -0.07, -0.03), pitch=0.55 * bend)
    m.at(1.30 * slow, root=REST["root"])
    m.perhaps_aside(0.5, 180.0)
    return m.lasts(1.60 * slow)


def jump(v: Variation) -> Motion:
    """Jumps on the spot: small jumps, or high jumps after a crouch with the arms thrown up."""
    m, high, clock, ground = Motion(v), v.chance(0.6), 0.0, (0.0, 0.0, 0.0)
    for _ in range(v.repetitions(1, 2, 0.84, 0.4) if high else v.repetitions(1, 4, 0.62, 0.4)):
        crouch = v.uniform(0.06, 0.16) if high else 0.06
        height = v.uniform(0.06, 0.2) if high else v.uniform(0.04, 0.14)
        ready = clock + (v.uniform(0.3, 0.5) if high else 0.18)
        m.at(ready, root=(0.0, -crouch, -0.02), right_foot=ground, left_foot=ground, pitch=160 * crouch)
        aloft, up = ready + 0.24, (0.0, height, 0.0)
        m.at(aloft, root=up, right_foot=up, left_foot=up, right_heel=25.0, left_heel=25.0, pitch=0.0)
        if high:
            m.both(ready, (v.uniform(0.1, 0.3), -0.85, -0.3))
            m.both(aloft, (v.uniform(0.1, 0.5), v.uniform(-0.4, 0.8), v.uniform(0.15, 0.5)))
        clock = aloft + 0.2
        m.at(clock, root=(0.0, -0.7 * crouch, -0.02), right_foot=ground, left_foot=ground, pitch=90 * crouch)
        m.at(clock, right_heel=0.0, left_heel=0.0)
    m.perhaps_aside(0.4, 180.0)
    return m.lasts(clock + 0.4)


def turn(v: Variation) -> Motion:
    """A turn to the side or right round, in small steps, from any heading."""
    m = Motion(v)
    if v.travels:
        m.faces(v.uniform(-180.0, 180.0))
    # In a script the turn is complete, because the next performance begins facing the camera.
    angle = float(v.rng.choice((-1.0, 1.0))) * (v.uniform(60.0, 180.0) if v.travels else 360.0)
    m.end["turn"] = (m.start.get("turn", REST["turn"])[0] + angle,)
    length = v.uniform(0.9, 1.8)
    for step, foot in enumerate(("right", "left", "right", "left")):
        lifted = (step + 0.5) * length / 5
        m.key(f"{foot}_foot", lifted, (0.0, 0.04, 0.03))
        m.key(f"{foot}_foot", lifted + 0.6 * length / 5, (0.0, 0.0, 0.0))
    return m.lasts(length)
