"""Make mediapipe.npz, with which test_pose.py compares the pose nets.

Run it in an environment of its own with mediapipe 0.10.21, after copying pose_landmark_lite.tflite from
fluxformer_core/assets/person to the folder mediapipe/modules/pose_landmark of that environment:

    python test/people/make_golden.py actor.npz test/people/mediapipe.npz

actor.npz holds `images` (8, 240, 320, 3), RGB: frames 20 to 27 of fluxformer_core.actor.Stage with
`(Performance("wave", 0.3, 2),), size=(240, 320), rate=30, seed=0`.
"""

import sys

import numpy as np
from mediapipe.python.solution_base import SolutionBase

GRAPH = "mediapipe/modules/pose_landmark/pose_landmark_cpu.binarypb"
OUTPUTS = ["pose_landmarks", "pose_world_landmarks", "segmentation_mask", "pose_detection", "pose_rect_from_landmarks"]
STEPS = (33333, 40333, 26333)  # microseconds between images, in turn


def run(images, smooth):
    options = {"model_complexity": 0, "enable_segmentation": True, "smooth_segmentation": False}
    graph = SolutionBase(
        binary_graph_path=GRAPH,
        side_inputs=options | {"smooth_landmarks": smooth, "use_prev_landmarks": True},
        outputs=OUTPUTS,
    )
    stamp = 0
    for index, image in enumerate(images):
        stamp += STEPS[index % len(STEPS)]
        graph._simulated_timestamp = stamp - 33333  # the solution adds a thirtieth of a second
        yield stamp, graph.process({"image": image})


def numbers(landmarks, names):
    return np.array([[getattr(landmark, name) for name in names] for landmark in landmarks.landmark], np.float32)


def main(source, target):
    images = np.load(source)["images"]
    height, width = images.shape[1:3]
    golden = {"image": images[0]}
    for name, smooth in (("raw", False), ("smooth", True)):
        results = list(run(images, smooth))
        golden |= {
            "stamps": np.array([1000 * stamp for stamp, _ in results]),  # ns
            f"{name}_points": np.stack([numbers(r.pose_landmarks, "xy") for _, r in results]) * (width, height),
            f"{name}_visibility": np.stack([numbers(r.pose_landmarks, ["visibility"])[:, 0] for _, r in results]),
            f"{name}_metres": np.stack([numbers(r.pose_world_landmarks, "xyz") for _, r in results]),
        }
    squares = [result.pose_rect_from_landmarks for _, result in results]
    golden["squares"] = np.array([[s.x_center, s.y_center, s.width, s.rotation] for s in squares])
    golden["squares"][:, :3] *= (width, height, width)
    first = results[0][1]
    place = first.pose_detection.location_data
    golden["points"] = np.array([[point.x * width, point.y * height] for point in place.relative_keypoints])
    golden["score"] = np.array(first.pose_detection.score[0])
    golden["mask"] = np.round(first.segmentation_mask * 255).astype(np.uint8)
    np.savez_compressed(target, **{name: np.float32(v) if v.dtype == np.float64 else v for name, v in golden.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
