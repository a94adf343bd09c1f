"""The recogniser as a robot sees it: another process over real DDS, observed by its topics and /diagnostics."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from fluxformer.msg import ActionEvent, Recognition
from lifecycle_msgs.msg import Transition
from ros_bench import LABELS, PERIOD, RecognizerProcess, Robot, a_robot, as_rgb
from sensor_msgs.msg import Image
from std_msgs.msg import Float32
from std_srvs.srv import Trigger

from fluxformer_core.types import SECOND, Pixels
from fluxformer_ros.node.images import image_to_compressed, image_to_msg
from fluxformer_ros.node.messages import time_from_msg

WARN, ERROR = DiagnosticStatus.WARN, DiagnosticStatus.ERROR
# With these settings an untrained model names every movement and so makes events.
EAGER = {"start_score": 0.02, "keep_score": 0.01, "smoothing": 0.0, "min_duration": 0.0}


@pytest.fixture(scope="module")
def recognizer(ros: None, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecognizerProcess]:
    with RecognizerProcess(tmp_path_factory.mktemp("node") / "stderr", model=model, **EAGER) as process:
        yield process


@pytest.fixture(scope="module")
def shared_robot(recognizer: RecognizerProcess) -> Iterator[Robot]:
    with a_robot() as robot:
        robot.ready()
        yield robot


@pytest.fixture
def robot(shared_robot: Robot, recognizer: RecognizerProcess) -> Iterator[Robot]:
    """The robot without earlier messages; the recogniser runs and has no open event."""
    shared_robot.let_it_finish()
    shared_robot.call("reset", Trigger.Request())
    shared_robot.stamp += 10 * SECOND
    shared_robot.recognitions.clear()
    shared_robot.events.clear()
    yield shared_robot
    assert recognizer.process.poll() is None, recognizer.said
    assert "Traceback" not in recognizer.said


def as_depth(image: np.ndarray, scale: float, hole: float, dtype: type) -> Image:
    """An image whose brightness serves as depth, with holes."""
    depth = scale * (1.0 + image.mean(axis=2) / 100)
    depth[::7, ::7] = hole
    return image_to_msg(depth.astype(dtype), Pixels.DEPTH, 0, "")


INPUTS = {
    "rgb8": as_rgb,
    "mono8": lambda image: image_to_msg(np.ascontiguousarray(image[..., 0]), Pixels.GREY, 0, ""),
    "16UC1": lambda image: as_depth(image, 1000, 0, np.uint16),
    "32FC1": lambda image: as_depth(image, 1, np.nan, np.float32),
}


@pytest.mark.parametrize("encoding", INPUTS)
def test_images_become_recognitions_and_events_with_the_cameras_stamps(robot: Robot, encoding: str) -> None:
    first = robot.stamp
    robot.show(45, make=INPUTS[encoding])
    robot.show(60, acting=False, make=INPUTS[encoding])
    robot.wait(lambda: robot.events and robot.events[-1].kind == ActionEvent.ENDED, "the end of the action")
    stamps = [time_from_msg(recognition.header.stamp) for recognition in robot.recognitions]
    assert stamps == sorted(stamps)
    assert all((stamp - first) % PERIOD == 0 and first <= stamp < robot.stamp for stamp in stamps)
    assert {recognition.header.frame_id for recognition in robot.recognitions} == {"eye"}
    # The recognition rate is an upper limit: a busy machine replaces images.
    assert 10 < len(stamps) <= 2 + 7.5 * (stamps[-1] - stamps[0]) / SECOND
    states = [recognition.state for recognition in robot.recognitions]
    assert states[0] == Recognition.WARMING_UP
    assert Recognition.ACTION in states
    named = next(recognition for recognition in robot.recognitions if recognition.state == Recognition.ACTION)
    assert [score.label for score in named.scores] in (list(LABELS), list(LABELS[::-1]))
    assert named.scores[0].score >= named.scores[1].score
    ended = robot.events[-1]
    started = next(event for event in robot.events if event.instance == ended.instance)
    assert started.kind == ActionEvent.STARTED
    assert ended.label in LABELS
    assert first <= time_from_msg(ended.start) < time_from_msg(ended.end) <= time_from_msg(ended.header.stamp)


def test_labels_are_there_for_late_subscribers_and_follow_the_thresholds(robot: Robot) -> None:
    with a_robot() as late:
        late.wait(lambda: late.labels, "labels")
        message = late.labels[-1]
        assert (message.model, message.labels, message.enrolled) == ("fluxformer_nano", list(LABELS), [False, False])
        assert len(message.version) == 12
        assert robot.set(start_score=0.25).successful
        late.wait(lambda: late.labels[-1].thresholds.tolist() == [0.25, 0.25], "the new threshold")
        assert robot.set(start_score=EAGER["start_score"]).successful


def test_every_frame_is_accounted_for(robot: Robot) -> None:
    before, published = robot.counts(), robot.published
    robot.show(60)
    for _ in range(5):
        robot.publish(damaged(encoding="rgb7"))
    robot.let_it_finish()  # an image that waits is not counted yet
    after = robot.counts()
    grown = {key: after[key] - before.get(key, 0) for key in after}
    assert robot.published - published == 65
    assert grown["images received"] + grown["images lost in transport"] == 65
    outcomes = ("pushed", "replaced", "refused", "discarded")
    assert sum(grown[f"images {outcome}"] for outcome in outcomes) == grown["images received"]
    assert 1 <= grown["images refused"] <= 5
    looked_at = ("images admitted", "images skipped", "images with a repeated stamp", "images late")
    assert sum(grown[key] for key in looked_at) == grown["images pushed"]


def damaged(**changes: object) -> Image:
    message = as_rgb(np.zeros((8, 8, 3), np.uint8))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_unusable_images_are_counted_by_cause_and_do_no_harm(robot: Robot) -> None:
    before = robot.counts()
    unusable = {
        "image encoding 'rgb7' is not supported": damaged(encoding="rgb7"),
        "damaged rgb8 image of 8x8 px": damaged(data=b"\0" * 50),
        "damaged mono8 image of 8x8 px": damaged(encoding="mono8", step=3),
        "damaged rgb8 image of 0x8 px": damaged(width=0),
        "damaged rgb8 image of 9000x9000 px": damaged(height=9000, width=9000),
    }
    for message in unusable.values():
        for _ in range(10):
            robot.publish(message)
    status, values = robot.fresh_status()
    assert status.level == ERROR
    assert "no image on /image can be used: damaged rgb8 image of 9000x9000 px" in status.message
    for cause in unusable:
        key = f"refused: {cause}"
        assert before.get(key, 0) < int(values[key]) <= before.get(key, 0) + 10
    robot.hear()


def test_images_without_stamps_are_refused(robot: Robot) -> None:
    robot.stamp = 0
    robot.publish(damaged())
    robot.stamp = 2_000 * SECOND
    assert robot.counts()["refused: image without a stamp"] == 1


@pytest.mark.parametrize(("cause", "jump", "step"), [("time_jump", 100, 1), ("size_change", 0, 2)])
def test_a_jump_of_stamp_or_size_ends_the_action_and_starts_anew(
    robot: Robot, cause: str, jump: int, step: int
) -> None:
    before = robot.counts()[f"resets: {cause}"]
    event = robot.act_until_an_event_is_open()
    newest = robot.stamp - PERIOD
    robot.stamp -= jump * SECOND
    robot.show(5, make=lambda image: as_rgb(image[::step, ::step]))
    robot.wait_for_the_end_of(event)
    assert time_from_msg(robot.events[-1].end) <= newest
    assert robot.counts()[f"resets: {cause}"] == before + 1
    begin, end = (0, newest) if jump else (newest + 1, robot.stamp)
    robot.wait(lambda: begin <= time_from_msg(robot.recognitions[-1].header.stamp) < end, "a recognition")


def test_a_request_to_reset_ends_the_action(robot: Robot) -> None:
    event = robot.act_until_an_event_is_open()
    assert robot.call("reset", Trigger.Request()).success
    robot.wait_for_the_end_of(event)


def test_a_camera_that_goes_ends_the_action_and_may_come_back(robot: Robot, recognizer: RecognizerProcess) -> None:
    event = robot.act_until_an_event_is_open()
    newest = robot.stamp - PERIOD
    # A busy machine may publish the images above further apart than this timeout.
    assert robot.set(camera_timeout=0.6).successful
    robot.wait_for_the_end_of(event)
    assert time_from_msg(robot.events[-1].end) <= newest
    status, values = robot.fresh_status()
    assert (status.level, "is the camera still running?" in status.message) == (WARN, True)
    assert float(values["input age [s]"]) > 0.6
    assert "no usable image on /image" in recognizer.said
    heard = len(robot.recognitions)
    robot.show(30)
    robot.wait(lambda: len(robot.recognitions) > heard, "a recognition")
    robot.wait(lambda: "images arrive on /image" in recognizer.said, "a word about the camera's return")
    assert robot.set(camera_timeout=2.0).successful


def test_parameters_change_while_it_runs_and_nonsense_is_rejected(robot: Robot) -> None:
    refused = robot.set(keep_score=0.9, top_k=1)
    assert not refused.successful
    assert "keep_score (0.9) must be at most start_score" in refused.reason
    robot.act_until_an_event_is_open()
    assert len(robot.recognitions[-1].scores) == 2
    assert robot.set(top_k=1).successful
    robot.act_until_an_event_is_open()
    robot.wait(lambda: len(robot.recognitions[-1].scores) == 1, "a shorter list of scores")
    assert robot.set(top_k=5).successful
    refused = robot.set(image_transport="compressed")
    assert "clean up" in refused.reason


def test_deactivating_ends_the_action_and_activating_goes_on(robot: Robot) -> None:
    event = robot.act_until_an_event_is_open()
    assert robot.change_state(Transition.TRANSITION_DEACTIVATE)
    robot.wait_for_the_end_of(event)
    robot.wait(lambda: not robot.images.get_subscription_count(), "the end of the subscription")
    robot.recognitions.clear()
    assert robot.fresh_status()[1]["state"] == "inactive"
    assert not robot.recognitions
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    robot.ready()
    robot.hear()


def test_the_overlay_is_drawn_for_subscribers_only(robot: Robot) -> None:
    robot.show(10)
    robot.let_it_finish()
    assert robot.counts()["overlay pictures"] == 0
    pictures, published = [], robot.published
    screen = robot.node.create_subscription(Image, "recognizer/overlay", pictures.append, 1)
    robot.wait(screen.get_publisher_count, "the overlay")
    assert robot.set(overlay_height=240).successful
    while not pictures and robot.published < published + 50:
        robot.show(10)
    robot.wait(lambda: pictures, "a picture")
    assert (pictures[0].height, pictures[0].width, pictures[0].header.frame_id) == (240, 428, "eye")
    robot.node.destroy_subscription(screen)
    counts = robot.counts()
    assert 1 <= counts["overlay pictures"] <= 50
    robot.show(10)
    robot.let_it_finish()
    assert robot.counts()["overlay pictures"] <= counts["overlay pictures"] + 1


def test_times_of_the_stages_are_sent_for_plotting(robot: Robot) -> None:
    names = ("prepare", "flow", "select", "forward", "decide", "stamp_to_publish")
    heard: dict[str, list[float]] = {name: [] for name in names}
    plots = []
    for name, values in heard.items():
        append = partial(lambda values, message: values.append(message.data), values)
        plots.append(robot.node.create_subscription(Float32, f"recognizer/debug/{name}_ms", append, 100))
    robot.wait(lambda: all(plot.get_publisher_count() for plot in plots), "the topics")
    robot.act_until_an_event_is_open()
    robot.wait(lambda: all(heard.values()), "a value of each")
    assert all(value > 0 for values in heard.values() for value in values)
    for plot in plots:
        robot.node.destroy_subscription(plot)


def test_stamps_of_another_clock_are_named(robot: Robot) -> None:
    robot.show(10)
    robot.let_it_finish()
    status, values = robot.fresh_status()
    assert float(values["stamp age [s]"]) > 1e6  # the bench counts from 1970
    assert "behind this node's clock: for a bag set use_sim_time" in status.message


def test_the_security_policy_allows_what_the_node_does(robot: Robot) -> None:
    policy = ET.parse(Path(__file__).resolve().parents[2] / "config" / "sros2_policy.xml").getroot()

    def allowed(kind: str) -> set[str]:
        names = [(entry.text or "").replace("~/", "/recognizer/") for entry in policy.iterfind(f".//{kind}")]
        return {name if name.startswith("/") else f"/{name}" for name in names}

    node, where = robot.node, ("recognizer", "/")
    topics = [*node.get_publisher_names_and_types_by_node(*where), *node.get_subscriber_names_and_types_by_node(*where)]
    services = node.get_service_names_and_types_by_node(*where)
    assert len(topics) > 15
    enrolling = next(iter(allowed("action")))
    assert {name for name, _ in topics if not name.startswith(enrolling)} <= allowed("topic")
    assert {name for name, _ in services if not name.startswith(enrolling)} <= allowed("service")


def test_compressed_images_after_a_new_configuration(robot: Robot) -> None:
    down = [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP]
    up = [Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE]
    assert robot.change_state(*down)
    assert robot.fresh_status()[1]["state"] == "unconfigured"
    assert robot.set(image_transport="compressed").successful
    assert robot.change_state(*up)
    robot.wait(robot.compressed.get_subscription_count, "a subscriber")
    robot.show(20, make=lambda image: image_to_compressed(image, Pixels.RGB, 0, ""))
    robot.wait(lambda: robot.recognitions, "a recognition")
    assert robot.counts()["images refused"] == 0
    assert robot.change_state(*down)
    assert robot.set(image_transport="raw").successful
    assert robot.change_state(*up)
    robot.ready()
