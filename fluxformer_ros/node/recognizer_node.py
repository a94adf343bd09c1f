"""The recogniser as a lifecycle node: parameters and transitions. The pipeline does the work in between."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rclpy
import rclpy.logging
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from fluxformer_core.enrollment.enrolled_file import default_enrolled_file
from fluxformer_core.errors import FluxformerError
from fluxformer_ros.node import parameters
from fluxformer_ros.node.diagnostics import Updater, fill
from fluxformer_ros.node.enrollment import Enrollment
from fluxformer_ros.node.health import HealthMonitor
from fluxformer_ros.node.image_input import ImageInput
from fluxformer_ros.node.pipeline import Pipeline
from fluxformer_ros.node.process import StopSignals, forward_logs, keep_image_memory, set_threads, spin_until_stopped

_WATCH_PERIOD = 0.25  # s


class RecognizerNode(LifecycleNode):
    """Subscribes to images and publishes what people do in them.

    The subscription only leaves messages in the worker's mailbox; recognising happens on the worker's thread.

    Raises:
        ConfigError: if parameters contradict each other.
        rclpy.exceptions.ParameterException: if a parameter has the wrong type or is outside its range.
    """

    def __init__(self) -> None:
        super().__init__("recognizer")
        parameters.declare(self)
        self._config = parameters.read(self)
        self._pipeline: Pipeline | None = None  # from configure to cleanup
        self._input: ImageInput | None = None  # from activate to deactivate
        self._health = HealthMonitor()
        self._enrollment = Enrollment(self, self._publish_labels)
        set_threads(self._config.threads)
        forward_logs("fluxformer_core", self.get_logger())
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self._diagnostics = Updater(self)
        self._diagnostics.add("recognition", self._diagnose)
        # This timer notices cameras that stop, so its clock must not stop with a bag.
        self.create_timer(_WATCH_PERIOD, self._watch_camera, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def build_only(self) -> bool:
        """Whether to end when the engine is built."""
        return self._config.build_only

    def start(self) -> bool:
        """Configure and activate as far as the parameters say so; whether the node is where they want it."""
        success = TransitionCallbackReturn.SUCCESS
        if self.build_only:
            return bool(self.trigger_configure() == success)
        if not self._config.autostart:
            return True
        return bool(self.trigger_configure() == success and self.trigger_activate() == success)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and model, and declare the topics."""
        try:
            self._config = parameters.read(self)
            self._pipeline = pipeline = Pipeline(self, self._config, self._health)
        except FluxformerError as error:
            self._health.error = str(error)
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        self._health.error = ""
        file = Path(self._config.enrolled_file) if self._config.enrolled_file else default_enrolled_file()
        self._enrollment.configure(pipeline.bundle, pipeline.worker, file)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Warm the model up, say what it knows, and subscribe."""
        result = super().on_activate(state)
        if self._pipeline is not None:
            self._pipeline.start()
            self._enrollment.activate()
            self._pipeline.publish_labels()
            self._health.activated()
            self._input = ImageInput(self, self._pipeline.worker, self._health, self._config.image_transport)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and end the open actions."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and take down the topics."""
        self._unload()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the open actions and free everything."""
        self._stop()
        self._unload()
        self._enrollment.destroy()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a transition that raised, so that the transition can be tried again."""
        self._stop()
        self._unload()
        return super().on_error(state)

    def _stop(self) -> None:
        if self._pipeline is None:
            return
        self._enrollment.deactivate()
        self._pipeline.stop()
        if self._input is not None:
            self._diagnostics.update()  # with the final counts
            self._input.destroy()
            self._input = None
            self._pipeline.wait_for_last_events()

    def _unload(self) -> None:
        if self._pipeline is not None:
            self._enrollment.cleanup()
            self._pipeline.destroy()
            self._pipeline = None

    def _publish_labels(self) -> None:
        if self._pipeline is not None:
            self._pipeline.publish_labels()

    def _diagnose(self, status: DiagnosticStatus) -> None:
        if self._input is not None and (pipeline := self._pipeline) is not None:
            image = self._input.state(self._config.camera_timeout)
            health = self._health.active(pipeline.worker, image, pipeline.overlay, pipeline.outside)
        else:
            health = self._health.idle("unconfigured" if self._pipeline is None else "inactive")
        fill(status, health)

    def _watch_camera(self) -> None:
        if self._input is not None:
            self._input.watch(self._config.camera_timeout)

    def _check_parameters(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in changes}
        reason = parameters.refusal(self, values, configured=self._pipeline is not None)
        return SetParametersResult(successful=not reason, reason=reason)

    def _apply_parameters(self, _changes: list[Parameter[Any]]) -> None:
        self._config = parameters.read(self)
        if self._pipeline is not None:
            self._pipeline.configure(self._config)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until Ctrl-C or SIGTERM; the exit code is 2 if the parameters or the model cannot be used."""
    keep_image_memory()
    rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    signals = StopSignals()
    try:
        node = RecognizerNode()
    except (FluxformerError, ParameterException) as error:
        rclpy.logging.get_logger("recognizer").fatal(str(error))
        rclpy.shutdown()
        return 2
    try:
        started = node.start()
        if started and not node.build_only:
            spin_until_stopped(node, signals)
    finally:
        node.trigger_shutdown()
        node.destroy_node()
        rclpy.shutdown()
    return 0 if started else 2


if __name__ == "__main__":
    sys.exit(main())
