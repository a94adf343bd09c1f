"""Recognition of a whole source, from opening it to the last event: the function behind `fluxformer recognize`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from fluxformer_core.bundle import Bundle, load_bundle
from fluxformer_core.errors import ConfigError
from fluxformer_core.io.sources import Source, SourceFrame, open_source
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.render.explanation_writer import ExplanationWriter
from fluxformer_core.render.overlay import draw_views, visible
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.measurements import Counters
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import ActionEvent, Recognition, Update


@dataclass
class RecognitionResult:
    """What was recognised in a source. All stamps are nanoseconds on the source's own clock."""

    start: int = 0  # stamp of the first frame
    events: list[ActionEvent] = field(default_factory=list)
    recognitions: list[Recognition] = field(default_factory=list)  # filled if `keep_recognitions` is set
    counters: Counters = field(default_factory=Counters)
    pictures: int = 0  # explanations that were written


def recognize(
    source: str | Path,
    bundle: Bundle | str | Path | None = None,
    *,
    config: RecognizerConfig | None = None,
    flow: str = "",
    topic: str | None = None,
    rate: float | None = None,
    overlay: Path | None = None,
    explanations: Path | None = None,
    keep_recognitions: bool = False,
    on_update: Callable[[Update, RecognitionResult], None] = lambda update, result: None,
    progress: Callable[[Source], Iterable[SourceFrame]] = iter,
) -> RecognitionResult:
    """Recognise the actions in a video, a bag, a folder of images or the images of a camera.

    The source is read to its end, or until Ctrl-C; events that are open then are ended.

    Args:
        source: as `open_source` takes it.
        bundle: the model or its file; None: the shipped model.
        config: settings of the recogniser.
        flow: estimator of optical flow, as `create_flow` takes it; empty: the one of the model's training.
        topic: image topic of a bag; needed where the bag has several image topics.
        rate: frames per second of a folder in Hz.
        overlay: video file that shows each frame and what was recognised.
        explanations: folder for a picture of each decision.
        keep_recognitions: collect every recognition in the result; a recognition takes about 1 kB.
        on_update: called after each frame, and after the last one, with what is new and the result so far.
        progress: wraps the source, such as `tqdm`.

    Raises:
        FluxformerError: if the source, the model or an output cannot be used. Before an error in the middle of the
            source is raised, open events are ended and `on_update` is called.
    """
    with ExitStack() as resources:
        opened = resources.enter_context(open_source(str(source), topic=topic, rate=rate))
        model = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        recognizer = Recognizer(model, config, flow=flow)
        if overlay is not None:
            refuse_to_overwrite(source, overlay)
        video = resources.enter_context(VideoRecorder(overlay)) if overlay is not None else None
        writer = ExplanationWriter(explanations) if explanations is not None else None
        result = RecognitionResult(counters=recognizer.counters)

        def report(update: Update) -> None:
            result.events += update.events
            if keep_recognitions:
                result.recognitions += update.recognitions
            if writer is not None:
                result.pictures = writer.written
            on_update(update, result)

        try:
            for frame in progress(opened):
                if not recognizer.counters.frames:
                    result.start = frame.stamp
                update = recognizer.push(frame.image, frame.stamp, frame.pixels)
                if writer is not None:
                    writer.update(update, frame.stamp, recognizer)
                report(update)
                if video is not None:
                    shown = visible(frame.image, frame.pixels, recognizer.model.spec.depth_range)
                    video.write(draw_views(shown, recognizer.views), frame.stamp)
        except KeyboardInterrupt:
            pass  # Ctrl-C is how a camera ends; open events end below
        finally:
            events = recognizer.close()
            if writer is not None:
                writer.close(events)
            report(Update(events=events))
        return result


def refuse_to_overwrite(source: str | Path, output: str | Path) -> None:
    """Raise a ConfigError if an output file is the source."""
    if Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
        raise ConfigError(f"{output} is the source itself; write to another file")
