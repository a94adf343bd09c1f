"""Enrolment of an action from recordings: the function behind `fluxformer enroll`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import MOST_EXAMPLES
from fluxformer_core.enrollment.examples import describe, read_example
from fluxformer_core.enrollment.teaching import EnrollmentResult, refuse_name, teach
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.taught import KnownActions


def enroll(
    bundle: Bundle,
    label: str,
    clips: Sequence[str],
    *,
    topic: str | None = None,
    rate: float | None = None,
    even_if_similar: bool = False,
    progress: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> EnrollmentResult:
    """Teach a model a new action from 1 to 10 recordings, without training.

    ```python
    result = enroll(bundle, "thumbs_up", ["up1.mp4", "up2.mp4", "up3.mp4"])
    result.added_to(bundle).save("taught.safetensors")
    ```

    The clips are videos, bags or folders of images that show the action. `topic` is needed where a bag has several
    image topics, `rate` in Hz for folders. `even_if_similar` accepts an action that looks like another one. `progress`
    wraps the clips, such as `tqdm`. The result is the action, or the reason of the refusal.

    Raises:
        ConfigError: if the label cannot be used, there are too many clips, or the model cannot be taught.
        SourceError: if a clip cannot be read, or shows no motion.
    """
    if refusal := refuse_name(label, bundle.labels, bundle.enrolled):
        raise ConfigError(refusal)
    if len(clips) > MOST_EXAMPLES:
        raise ConfigError(f"{len(clips)} clips are more than {MOST_EXAMPLES}; `fluxformer train` learns from many")
    known, recognizer = KnownActions(bundle), Recognizer(bundle)
    flow = recognizer.model.flow
    windows = (read_example(str(clip), bundle.spec, flow, topic=topic, rate=rate) for clip in progress(clips))
    examples = [describe(recognizer, window) for window in windows]
    return teach(label, examples, known, bundle.enrolled, even_if_similar=even_if_similar)


def forget(bundle: Bundle, label: str) -> Bundle:
    """The model without an enrolled action.

    Raises:
        ConfigError: if the action is not enrolled.
    """
    names = [action.label for action in bundle.enrolled]
    if label not in names:
        raise ConfigError(f"{label} is not enrolled in this model; enrolled: {', '.join(names) or 'none'}")
    return replace(bundle, enrolled=tuple(action for action in bundle.enrolled if action.label != label))
