"""Proportions and kinematics of a body: joint positions for all frames of a motion at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fluxformer_core.actor.pose import Array, Pose


@dataclass(frozen=True)
class Proportions:
    """Lengths of a body in body heights."""

    hip_width: float = 0.052  # from the middle to a hip joint
    shoulder_width: float = 0.101  # from the middle to a shoulder joint
    trunk: float = 0.285  # from the hips to the shoulders
    upper_arm: float = 0.182
    forearm: float = 0.192  # from the elbow to the middle of the hand
    thigh: float = 0.245
    shin: float = 0.246
    ankle: float = 0.039
    stance: float = 0.056  # from the middle to a foot
    head: float = 0.058  # radius

    @property
    def arm(self) -> float:
        """From the shoulder to the middle of the hand."""
        return self.upper_arm + self.forearm

    @property
    def hip_height(self) -> float:
        """Height of the hips when standing, with almost straight knees."""
        return self.ankle + 0.996 * (self.thigh + self.shin)


Joints = dict[str, Array]
"""Joint name to positions (frames, 3) in body heights, or to rotations (frames, 3, 3)."""


def rotation(yaw: Array, pitch: Array, roll: Array) -> Array:
    """Rotations (T, 3, 3) that lean by roll, bend by pitch, then turn by yaw; angles in degrees, (T,)."""
    (sy, sp, sr), (cy, cp, cr) = ([f(np.radians(a)) for a in (yaw, pitch, roll)] for f in (np.sin, np.cos))
    zero, one = np.zeros_like(sy), np.ones_like(sy)

    def matrix(*rows: Array) -> Array:
        return np.stack(rows, axis=-1).reshape(-1, 3, 3)

    turn = matrix(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    bend = matrix(one, zero, zero, zero, cp, -sp, zero, sp, cp)
    lean = matrix(cr, sr, zero, -sr, cr, zero, zero, zero, one)
    return turn @ bend @ lean


def place(origin: Array, frame: Array, x: float, y: float, z: float) -> Array:
    """The point (x, y, z) of a moving frame, (T, 3)."""
    return np.asarray(origin + frame @ np.array([x, y, z]))


def solve(pose: Pose, body: Proportions) -> Joints:
    """Joint positions of a pose: the trunk from its angles, arms and legs from the targets of hands and feet."""
    column = {name: values[:, 0] for name, values in pose.items() if values.shape[1] == 1}
    still = np.zeros_like(column["turn"])
    heading = rotation(column["turn"], still, still)
    hips = rotation(column["turn"] + 0.35 * column["twist"], 0.45 * column["pitch"], 0.3 * column["roll"])
    chest = rotation(column["turn"] + column["twist"], column["pitch"], column["roll"])
    looking, nodding = column["turn"] + 0.4 * column["twist"] + column["look"], 0.75 * column["pitch"] + column["nod"]
    head = rotation(looking, nodding, 0.6 * column["roll"])
    pelvis = pose["place"] + _turned(heading, pose["root"]) + np.array([0.0, body.hip_height, 0.0])
    waist = place(pelvis, hips, 0.0, 0.28 * body.trunk, 0.0)
    collar = place(waist, chest, 0.0, 0.72 * body.trunk, 0.0)
    neck = place(collar, chest, 0.0, 0.03, 0.004)
    joints: Joints = {"hips_frame": hips, "chest_frame": chest, "head_frame": head}
    joints |= {"pelvis": pelvis, "waist": waist, "collar": collar, "neck": neck}
    joints["head"] = place(neck, head, 0.0, 0.088, 0.012)
    for side, sign in (("right", 1.0), ("left", -1.0)):
        hand = _turned(heading, pose[f"{side}_hand"])
        # A raised arm lifts the shoulder; a reaching arm pulls the shoulder forward.
        shrug = 0.028 * np.clip(0.3 + hand[:, 1:2], 0.0, 1.0) * np.array([0.0, 1.0, 0.0])
        taken = 0.03 * hand * np.array([1.0, 0.0, 1.0])
        shoulder = place(collar, chest, sign * body.shoulder_width, -0.025, 0.0) + shrug + taken
        pole, target = _turned(heading, pose[f"{side}_elbow"]), shoulder + body.arm * hand
        elbow, hand = _two_bones(shoulder, target, body.upper_arm, body.forearm, pole)
        along = (hand - elbow) / np.linalg.norm(hand - elbow, axis=1, keepdims=True)
        joints |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_hand": hand}
        joints |= {f"{side}_wrist": hand - 0.045 * along, f"{side}_fingers": hand + 0.03 * along}
        hip = place(pelvis, hips, sign * body.hip_width, 0.0, 0.0)
        standing = np.array([sign * body.stance, body.ankle, 0.0])
        foot = pose["place"] + _turned(heading, pose[f"{side}_foot"] + standing)
        knee_side = heading @ np.array([0.10 * sign, 0.0, 1.0])
        knee, ankle = _two_bones(hip, foot, body.thigh, body.shin, knee_side)
        sole = rotation(column["turn"] + 7.0 * sign, column[f"{side}_heel"], still)
        heel, toes = place(ankle, sole, 0.0, -0.018, -0.022), place(ankle, sole, 0.0, -0.022, 0.095)
        joints |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle}
        joints |= {f"{side}_heel": heel, f"{side}_toes": toes}
    return joints


def _turned(frame: Array, vectors: Array) -> Array:
    return np.asarray((frame @ vectors[:, :, None])[:, :, 0])


def _two_bones(root: Array, target: Array, upper: float, lower: float, pole: Array) -> tuple[Array, Array]:
    """The middle joint and the end of a limb that reaches towards the target, bent towards the pole."""
    towards = target - root
    distance = np.linalg.norm(towards, axis=1, keepdims=True)
    along = towards / np.maximum(distance, 1e-6)
    distance = np.clip(distance, abs(upper - lower) + 0.05 * upper, 0.999 * (upper + lower))
    aside = pole - (pole * along).sum(axis=1, keepdims=True) * along
    aside = aside / np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-6)
    cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    sine = np.sqrt(np.clip(1 - cosine**2, 0.0, 1.0))
    return root + upper * (cosine * along + sine * aside), root + distance * along
