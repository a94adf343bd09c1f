"""Plays a video, a folder, a bag, a camera or the rendered actor as if it were a camera's topic."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.errors import FluxformerError
from fluxformer_core.io.sources import open_source
from fluxformer_core.types import SECOND
from fluxformer_ros.node.images import image_to_compressed, image_to_msg
from fluxformer_ros.node.messages import time_to_msg
from fluxformer_ros.node.process import keep_image_memory
from fluxformer_ros.tools.playback import (
    ACTOR_SIZE,
    Arrangement,
    Opener,
    TimedFrame,
    arrange,
    open_drawn_actor,
    read_ahead,
)

_POLL = 0.05  # s
_ARRIVAL = 30.0  # s: for the last images to reach reliable subscribers
_SETTLE = 0.5  # s: for the nodes that listen to the subscriber to find it
_EXAMPLE = """example:
  python -m fluxformer_ros.tools.player_node actor --loop
  python -m fluxformer_ros.tools.player_node clip.mp4 --hold-before 1 --ros-args -r image:=/camera/image_raw"""


class PlayerNode(Node):
    """Publishes frames as `image`, or as sensor_msgs/CompressedImage on `image/compressed`.

    A reliable player resends what a subscriber missed; cameras usually do not. With `clock` the player publishes the
    source's time as /clock and stamps images with that time instead of the present time.
    """

    def __init__(self, *, compressed: bool, reliable: bool, clock: bool, frame_id: str) -> None:
        super().__init__("player")
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE) if reliable else qos_profile_sensor_data
        topic = f"{self.resolve_topic_name('image')}/compressed" if compressed else "image"
        self._images = self.create_publisher(CompressedImage if compressed else Image, topic, qos)
        self._time_topic = self.create_publisher(Clock, "/clock", 10) if clock else None
        self._to_msg = image_to_compressed if compressed else image_to_msg
        self._frame_id = frame_id

    @property
    def topic(self) -> str:
        """The topic of the images."""
        return str(self._images.topic_name)

    def publish(self, timed: TimedFrame) -> int:
        """Publish one frame now and return its stamp in ns.

        Raises:
            ImageError: if a message of the chosen kind cannot hold the image.
        """
        stamp = timed.stamp if self._time_topic else self.get_clock().now().nanoseconds
        if self._time_topic:
            self._time_topic.publish(Clock(clock=time_to_msg(stamp)))
        self._images.publish(self._to_msg(timed.image, timed.pixels, stamp, self._frame_id))
        return stamp

    def wait_for_subscriber(self, seconds: float) -> None:
        """Wait for a subscriber, and then for the nodes that listen to the subscriber."""
        end = time.monotonic() + seconds
        while not self._images.get_subscription_count() and time.monotonic() < end:
            time.sleep(_POLL)
        if seconds > 0 and self._images.get_subscription_count():
            time.sleep(_SETTLE)
        elif seconds > 0:
            self.get_logger().warning(f"{self.topic} has no subscriber; playing without one")

    def wait_for_arrival(self) -> None:
        """Wait until reliable subscribers have all images; images on the way are lost when a publisher ends."""
        end = time.monotonic() + _ARRIVAL
        while not self._images.wait_for_all_acked(Duration(seconds=_POLL)):  # short waits let Ctrl-C through
            if time.monotonic() >= end:
                self.get_logger().warning(f"not everybody had got all images {_ARRIVAL:g} s after the last")
                return


def play(node: PlayerNode, options: argparse.Namespace) -> int:
    """Publish every frame when it is due and return the number of published frames.

    Raises:
        SourceError: if a source cannot be opened or read.
        ImageError: if a frame cannot be published.
    """
    arrangement = Arrangement(**{field.name: getattr(options, field.name) for field in fields(Arrangement)})
    time_line = arrange([_opener(spec, options) for spec in options.sources], arrangement)
    count, start = 0, 0.0
    with read_ahead(time_line) as timed_frames, options.log.open("w", encoding="utf-8") as log:
        for timed in timed_frames:
            if count == 0:
                node.wait_for_subscriber(options.wait)
                start = time.monotonic()
            due = timed.due / SECOND / options.rate
            if options.duration is not None and due >= options.duration:
                break
            time.sleep(max(0.0, start + due - time.monotonic()))
            stamp = node.publish(timed)
            count += 1
            line = {"stamp": stamp, "source": timed.source, "index": timed.index, "due": timed.due}
            log.write(json.dumps(line) + "\n")
    return count


def _opener(spec: str, options: argparse.Namespace) -> Opener:
    if spec == "actor":
        seconds = None if options.duration is None else options.duration * options.rate
        return partial(open_drawn_actor, depth=options.depth, seed=options.seed, seconds=seconds, size=options.size)
    return partial(open_source, spec, topic=options.topic, rate=options.folder_rate)


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLE, formatter_class=shape, fromfile_prefix_chars="@"
    )
    add = parser.add_argument
    what = "video, folder of images, bag, camera index, or `actor`; @FILE lists many"
    add("sources", nargs="+", metavar="SOURCE", help=what)
    add("--topic", help="of the images in a bag")
    add("--folder-rate", type=float, metavar="HZ", help="at which a folder's images were taken")
    add("--depth", action="store_true", help="render the actor as depth (16UC1)")
    add("--seed", type=int, default=0, help="which actor (default: %(default)s)")
    add("--size", type=_size, default=ACTOR_SIZE, metavar="WxH", help="of the actor's images (default: 640x480)")
    add("--rate", type=float, default=1.0, help="playback speed (default: %(default)s)")
    add("--loop", action="store_true", help="start again at the end")
    add("--duration", type=float, metavar="S", help="stop after this time")
    add("--compressed", action="store_true", help="publish JPEG, or PNG for depth, on image/compressed")
    add("--reliable", action="store_true", help="reliable instead of best-effort QoS")
    add("--clock", action="store_true", help="publish /clock and keep the source's stamps")
    add("--frame-id", default="camera", help="default: %(default)s")
    add("--hold-before", type=float, default=0.0, metavar="S", help="how long the first frame stands still")
    add("--hold-after", type=float, default=0.0, metavar="S", help="how long the last frame stands still")
    add("--return-to-first", action="store_true", help="hold the first frame at the end, too")
    add("--pause", type=float, default=0.0, metavar="S", help="silence between two sources")
    wait = "for a subscriber, before the first frame (default: %(default)s)"
    add("--wait", type=float, default=30.0, metavar="S", help=wait)
    log = "write one JSON line for every published frame"
    add("--log", type=Path, default=os.devnull, metavar="FILE", help=log)
    return parser


def _size(text: str) -> tuple[int, int]:
    """Height and width of `640x480`."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT")
    return int(match[2]), int(match[1])


def main(args: Sequence[str] | None = None) -> int:
    """Play until the end or Ctrl-C, and return the exit code: 2 if a source cannot be played."""
    arguments = list(sys.argv if args is None else args)
    options = _parser().parse_args(remove_ros_args(arguments)[1:])
    keep_image_memory()
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = {name: getattr(options, name) for name in ("compressed", "reliable", "clock", "frame_id")}
    node = PlayerNode(**settings)
    try:
        count = play(node, options)
        node.wait_for_arrival()
        print(f"{count} frames published on {node.topic}")
    except FluxformerError as error:
        node.get_logger().fatal(str(error))
        return 2
    except KeyboardInterrupt:
        return 0
    finally:
        node.destroy_node()
        rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
