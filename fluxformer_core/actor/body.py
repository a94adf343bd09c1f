"""The actor's body and clothes: capsules between the joints of the skeleton."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fluxformer_core.actor.appearance import ActorStyle
from fluxformer_core.actor.pose import Array
from fluxformer_core.actor.render import SHADES, Capsule
from fluxformer_core.actor.skeleton import Joints, place, rotation

SKIN, SHIRT, ACCENT, TROUSERS, SHOES, HAIR, EYES, WHITES, LIPS, STOOL = range(10)
LIMB_ENDS = ("right_fingers", "left_fingers", "right_toes", "left_toes", "right_heel", "left_heel", "head")
"""The points whose speeds tell whether the actor is at rest."""


def palette(style: ActorStyle) -> npt.NDArray[np.uint8]:
    """RGB of every (material, brightness step), shape (materials * SHADES, 3)."""
    lips = (0.72 * style.skin[0], 0.42 * style.skin[1], 0.42 * style.skin[2])
    bare, dressed = (style.skin, style.shirt, style.accent), (style.trousers, style.shoes, style.hair)
    materials = (*bare, *dressed, (30, 26, 24), (240, 240, 236), lips, (120, 92, 64))
    steps = (np.arange(SHADES) + 0.5) / SHADES
    table = np.asarray(materials, dtype=np.float64)[:, None, :] * (0.12 + 1.0 * steps)[None, :, None]
    return np.clip(table, 0, 255).astype(np.uint8).reshape(-1, 3)


def flesh(joints: Joints, style: ActorStyle) -> dict[str, Array]:
    """All ends of capsules, (frames, 3) in body heights: the joints, and points fixed to trunk and head."""
    points = {name: values for name, values in joints.items() if values.ndim == 2}
    chest, hips, head = joints["chest_frame"], joints["hips_frame"], joints["head_frame"]
    for side, sign in (("right", 1.0), ("left", -1.0)):
        points[f"{side}_eye"] = place(points["head"], head, sign * 0.021, 0.004, 0.052)
        points[f"{side}_white"] = place(points["head"], head, sign * 0.0215, 0.0045, 0.0465)
        points[f"{side}_lip"] = place(points["head"], head, sign * 0.0145, -0.0300, 0.0520)
        points[f"{side}_yoke"] = place(points["collar"], chest, sign * 0.025, 0.022, -0.006)
    fixed = {
        "chin": (0.0, -0.030, 0.010), "skull": (0.0, 0.014, 0.0), "nose": (0.0, -0.010, 0.056),
        "crown": (0.0, 0.026, -0.012), "nape": (0.0, -0.030, -0.026), "smile": (0.0, -0.0365, 0.0545),
        "brow": (0.0, 0.034, 0.030), "peak": (0.0, 0.034, 0.075),
    }  # fmt: skip
    for name, offset in fixed.items():
        points[name] = place(points["head"], head, *offset)
    points["tips"] = place(points["collar"], chest, 0.0, -0.035, -0.052)
    points["chest"] = place(points["collar"], chest, 0.0, -0.076, 0.0)
    points["belly"] = place(points["waist"], chest, 0.0, -0.01, 0.004)
    points["lap"] = place(points["pelvis"], hips, 0.0, 0.022, 0.0)
    points["hem"] = 0.5 * (points["right_knee"] + points["left_knee"]) + (0.0, 0.02, 0.0)
    return points


def outfit(style: ActorStyle) -> list[Capsule]:
    """The capsules of one person, radii in metres."""
    parts: list[Capsule] = []
    bulk, limbs, head, m = style.bulk, style.limbs, style.proportions.head, style.stature

    def add(a: str, b: str, radius_a: float, radius_b: float, material: int, **paint: Any) -> None:
        parts.append(Capsule(a, b, radius_a * m, radius_b * m, material, **paint))

    wide = style.proportions.shoulder_width * bulk
    chest: dict[str, Any] = {"flatness": 0.62, "frame": "chest_frame"}
    hips: dict[str, Any] = {"flatness": 0.66, "frame": "hips_frame"}
    add("chest", "belly", 1.0 * wide, 0.9 * wide, SHIRT, accent=ACCENT, stripes=style.stripes, **chest)
    add("belly", "lap", 0.9 * wide, 0.94 * wide, SHIRT, second=TROUSERS, split=0.45, **hips)
    # Position along upper arm and thigh at which the cloth ends; 2: beyond the end.
    upper = {"long": 2.0, "short": 0.6, "none": -1.0}[style.sleeves]
    thigh = {"trousers": 2.0, "shorts": 0.85, "skirt": 0.5}[style.legs]
    arm = limbs * {"long": 1.12, "short": 1.06, "none": 1.0}[style.sleeves]
    leg = (0.45 + 0.55 * limbs) * {"trousers": 1.13, "shorts": 1.06, "skirt": 1.0}[style.legs]
    ankle = 0.030 if style.legs == "trousers" else 0.024
    forearm = SHIRT if style.sleeves == "long" else SKIN
    shin = TROUSERS if style.legs == "trousers" else SKIN
    for side in ("right", "left"):
        add(f"{side}_yoke", f"{side}_shoulder", 0.030, 0.034 * arm, SHIRT)
        add(f"{side}_shoulder", f"{side}_elbow", 0.034 * arm, 0.027 * arm, SHIRT, second=SKIN, split=upper)
        add(f"{side}_elbow", f"{side}_wrist", 0.027 * arm, 0.020 * arm, forearm)
        add(f"{side}_wrist", f"{side}_fingers", 0.0185 * limbs, 0.0200 * limbs, SKIN)
        add(f"{side}_hip", f"{side}_knee", 0.054 * leg, 0.039 * leg, TROUSERS, second=SKIN, split=thigh)
        add(f"{side}_knee", f"{side}_ankle", 0.037 * leg, ankle * leg, shin)
        add(f"{side}_heel", f"{side}_toes", 0.022, 0.020, SHOES)
        add(f"{side}_eye", f"{side}_eye", 0.0068, 0.0068, EYES)
        add(f"{side}_white", f"{side}_white", 0.0100, 0.0100, WHITES)
        add(f"{side}_lip", "smile", 0.0030, 0.0040, LIPS)
    if style.legs == "skirt":
        add("lap", "hem", 0.92 * wide, 0.125 * bulk, TROUSERS, **{**hips, "flatness": 0.8})
    add("collar", "chin", 0.031, 0.029, SKIN)
    add("chin", "skull", 0.72 * head, 0.96 * head, SKIN)
    add("nose", "nose", 0.0095, 0.0095, SKIN)
    if style.haircut in ("short", "long"):
        add("crown", "nape", 1.02 * head, 0.75 * head, HAIR)
    if style.haircut == "long":
        add("nape", "tips", 0.85 * head, 0.6 * head, HAIR)
    if style.haircut == "cap":
        add("crown", "crown", 1.05 * head, 1.05 * head, SHIRT)
        add("brow", "peak", 0.5 * head, 0.35 * head, ACCENT)
    return parts


def stool(style: ActorStyle, place_z: float, heading: float) -> tuple[dict[str, Array], list[Capsule]]:
    """A low stool of the actor's scale, place_z ahead of the standing place: points (1, 3) in body heights, and parts.

    The heading of the seated person is in degrees as in `Motion.faces`.
    """
    turned = rotation(np.array([heading]), np.zeros(1), np.zeros(1))[0]
    points: dict[str, Array] = {}
    parts: list[Capsule] = []
    seat, half, m = 0.205, 0.085, style.stature
    corners = {"fr": (half, half), "fl": (-half, half), "br": (half, -half), "bl": (-half, -half)}
    for name, (x, z) in corners.items():
        points[f"seat_{name}"] = np.array([[x, seat, place_z + z]]) @ turned.T
        points[f"leg_{name}"] = np.array([[1.15 * x, 0.0, place_z + 1.15 * z]]) @ turned.T
        parts.append(Capsule(f"seat_{name}", f"leg_{name}", 0.014 * m, 0.012 * m, STOOL))
    for a, b in (("fr", "fl"), ("br", "bl"), ("fr", "br"), ("fl", "bl"), ("fr", "bl"), ("fl", "br")):
        parts.append(Capsule(f"seat_{a}", f"seat_{b}", 0.024 * m, 0.024 * m, STOOL))
    return points, parts
