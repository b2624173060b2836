"""What the benchmarks measure with, and what those of nets are told alike."""

import argparse
import time
from collections.abc import Callable


def seconds(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def finished(run: Callable[[], object]) -> Callable[[], None]:
    """Return the same, which ends when the GPU has."""
    import torch

    def wait() -> None:
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return wait


def net_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of the sizes of a batch, and of what computes it how often in which precision."""
    from avrobust.models.late_fusion import PRECISIONS

    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio-samples", type=int, default=22_050)
    parser.add_argument("--frame-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of our encoders")
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def said(given: argparse.Namespace) -> str:
    """Return what `net_parser` was told, as a line above a table."""
    import torch

    where = torch.cuda.get_device_name() if given.device == "cuda" else f"CPU, {given.threads} threads"
    return (
        f"Batches of {given.batch_size}, {given.audio_samples} samples, {given.frame_size} pixels, {where}, ours in "
        f"{given.precision}; median of {given.rounds} pairs in turns\n"
    )
