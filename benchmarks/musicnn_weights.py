"""Take the weights of musicnn out of its authors' package, for `gtzan_helpers.pretrained`.

The wheel of musicnn 0.1.0 holds checkpoints of TensorFlow 1, whose pins no longer install. A
checkpoint's data file is nothing but its numbers, tensor after tensor in the order of their names.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from gtzan_helpers.cache import write_atomically
from gtzan_helpers.pretrained import CONVOLUTIONS, FOLDER, N_EMBEDDING, N_TAGS, numbered

CHECKPOINT = "musicnn/MTT_musicnn/.data-00000-of-00001"
LICENCE = "musicnn-0.1.0.dist-info/LICENSE.md"


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of all weights."""
    widths = [1, *(shape[-1] for shape in CONVOLUTIONS)]
    n_pooled = 2 * (sum(widths[1:6]) + 3 * widths[-1])
    found: dict[str, tuple[int, ...]] = {}
    for place, width in enumerate([*widths, n_pooled, N_EMBEDDING]):
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            found[f"{numbered('batch_normalization', place)}/{name}"] = (width,)
    for place, shape in enumerate(CONVOLUTIONS):
        found[f"{numbered('conv2d', place)}/kernel"] = shape
        found[f"{numbered('conv2d', place)}/bias"] = shape[-1:]
    for place, (n_in, n_out) in enumerate([(n_pooled, N_EMBEDDING), (N_EMBEDDING, N_TAGS)]):
        found[f"{numbered('dense', place)}/kernel"] = (n_in, n_out)
        found[f"{numbered('dense', place)}/bias"] = (n_out,)
    return found


def chance_weights(seed: int) -> dict[str, NDArray[np.float32]]:
    """Return weights by chance, as before any training: a control for what training is worth."""
    random, found = np.random.default_rng(seed), {}
    for name, shape in shapes().items():
        if name.endswith("kernel"):
            scale = math.sqrt(2 / math.prod(shape[:-1]))
            found[name] = (random.standard_normal(shape) * scale).astype(np.float32)
        else:
            found[name] = np.full(shape, float(name.endswith(("gamma", "variance"))), np.float32)
    return found


def weights(numbers: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Return the weights among a checkpoint's numbers, which hold the optimiser's memory, too."""
    wanted = shapes()
    trained = [name for name in wanted if "/moving_" not in name]
    stored = dict(wanted) | {f"{n}/{a}": wanted[n] for n in trained for a in ("Adam", "Adam_1")}
    stored |= {"beta1_power": (), "beta2_power": ()}
    sizes = [math.prod(stored[name]) for name in sorted(stored)]
    if sum(sizes) != len(numbers):
        raise click.ClickException(f"{len(numbers)} numbers, and not {sum(sizes)}: another network")
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    found = dict(zip(sorted(stored), parts, strict=True))
    return {name: found[name].reshape(shape) for name, shape in wanted.items()}


@click.command()
@click.argument("wheel", type=click.Path(exists=True, dir_okay=False))
def main(wheel: str) -> None:
    """Write the weights in WHEEL, musicnn-0.1.0-py3-none-any.whl, into the package."""
    with zipfile.ZipFile(wheel) as archive:
        numbers = np.frombuffer(archive.read(CHECKPOINT), "<f4")
        licence = archive.read(LICENCE).decode("utf-8")
    packed = io.BytesIO()
    np.savez(packed, **{name: kept.astype(np.float16) for name, kept in weights(numbers).items()})
    write_atomically(FOLDER / "mtt_musicnn.npz", packed.getvalue())
    write_atomically(FOLDER / "LICENSE", licence)
    size = Path(FOLDER, "mtt_musicnn.npz").stat().st_size
    click.echo(f"{sum(map(math.prod, shapes().values()))} numbers, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
