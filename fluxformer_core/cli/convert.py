"""fluxformer convert: a public checkpoint to a model file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

SUMMARY = "Make a model file from a public checkpoint of MViTv2, UniFormer or Video-FocalNet."
EXAMPLES = """\
  fluxformer convert torchvision:mvit_v2_s --out kinetics.safetensors
  fluxformer convert MViTv2_B_32x3_k400_f304025456.pyth --frames 16 --out kinetics_b.safetensors
  fluxformer convert torchvision:mvit_v2_s --model fluxformer_s --labels wave clap throw --out start.safetensors
  fluxformer convert uniformer_small_k400_16x4.pth --model emim_s --labels wave clap --out start.safetensors
  fluxformer convert video-focalnet_tiny_k400.pth --out kinetics.safetensors

known names:
  torchvision:mvit_v2_s
  slowfast:MViTv2_S_16x4_k400   slowfast:MViTv2_B_32x3_k400   (Kinetics-400)
  slowfast:MViTv2_S_16x4_ssv2   slowfast:MViTv2_B_32x3_ssv2   (Something-Something v2)"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add, labels = parser.add_argument, "labels, or one file with a label a line (default: the data set's)"
    add("source", metavar="CHECKPOINT", help="a file, or a known name, which is fetched")
    add("--out", metavar="BUNDLE", type=Path, required=True, help="where to write the model")
    add("--model", help="architecture to initialise (default: the plain trunk, which runs as it is)")
    add("--labels", nargs="+", metavar="LABEL", help=labels)
    add("--frames", type=int, metavar="N", help="frames of a clip (default: the checkpoint's)")
    add("--size", type=int, metavar="PX", help="height and width of a clip (default: the checkpoint's)")
    add("--rate", type=float, metavar="HZ", help="of the clip's frames (default: as published)")
    add("--sha256", metavar="DIGITS", help="the file's SHA-256 or its first digits, 8 at least")
    add("--url", help="fetch the known name from here")


def run(arguments: Namespace) -> None:
    """Fetch, check, convert, write.

    Raises:
        FluxformerError: if the checkpoint or an argument cannot be used.
    """
    from fluxformer_core.convert.download import check_sha256, fetch
    from fluxformer_core.convert.public_checkpoints import KNOWN, convert, load_checkpoint
    from fluxformer_core.errors import ConfigError

    known = arguments.source in KNOWN
    if arguments.url and not known:
        raise ConfigError(f"--url is for known names, and {arguments.source} is none of {', '.join(KNOWN)}")
    if not known and ":" in arguments.source and not Path(arguments.source).exists():
        raise ConfigError(f"{arguments.source} is no file and no known name; known are {', '.join(KNOWN)}")
    url = (arguments.url or KNOWN[arguments.source]) if known else ""
    path = fetch(url) if known else Path(arguments.source)
    digest = check_sha256(path, arguments.sha256)
    checkpoint = load_checkpoint(path)
    provenance = {"converted_from": arguments.source, "url": url, "sha256": digest, "layout": checkpoint.layout}
    same = {name: getattr(arguments, name) for name in ("model", "frames", "size", "rate")}
    kept = {name: value for name, value in provenance.items() if value}
    conversion = convert(checkpoint, labels=_labels(arguments.labels), provenance=kept, **same)
    bundle, transfer = conversion.bundle.save(arguments.out), conversion.transfer
    lines = [f"read {path}, SHA-256 {digest}"]
    lines += [f"{transfer.copied} tensors taken over, {len(transfer.resampled)} of them resampled to the clip's size"]
    if transfer.untouched:
        parts = sorted({name.split(".")[0] for name in transfer.untouched})
        lines.append(f"left at random, to be trained: {', '.join(parts)} ({len(transfer.untouched)} tensors)")
    lines.append(f"wrote {arguments.out} ({arguments.out.stat().st_size / 1e6:.1f} MB, {bundle.digest})")
    sys.stdout.write("\n".join(lines) + "\n")


def _labels(given: list[str] | None) -> tuple[str, ...] | None:
    from fluxformer_core.errors import ConfigError

    if given is None or len(given) > 1 or not Path(given[0]).is_file():
        return None if given is None else tuple(given)
    try:
        lines = Path(given[0]).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{given[0]} is no list of labels: {error}") from None
    return tuple(line.strip() for line in lines if line.strip())
