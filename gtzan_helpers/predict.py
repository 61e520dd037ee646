"""What both networks say of any song: asked piece by piece, shown, and played.

Taught in notebooks/06_compare_and_use.ipynb.
"""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from . import plots
from .audio import (
    AUDIO_SUFFIXES,
    MISSING_SECONDS_ALLOWED,
    PLAYER_SECONDS,
    AudioError,
    display_name,
    player,
    read_audio,
    read_header,
)
from .features import FEATURE_NAMES, track_features
from .models import (
    CNN,
    DENSE,
    SAMPLE_RATE,
    SLICE_SECONDS,
    Models,
    nearest_distances,
    scaled_features,
)
from .slices import cut

if TYPE_CHECKING:
    import ipywidgets

# A song is read in pieces of this length, so that a long one needs no more memory.
PIECE_SECONDS = 60.0
# Features take a third of a second a window: of a song of hours, not all is measured.
MOST_WINDOWS = 100
SILENT = 1e-4  # the largest amplitude of a song without any sound, 80 dB below full scale
UNLIKE, UNSURE = 0.95, 0.5


@dataclass(frozen=True, repr=False)
class Prediction:
    """What both networks said of a song. In a notebook it is shown as a figure above a player.

    Attributes
    ----------
    path : Path
        The song.
    seconds : float
        Its length.
    probabilities : dict of name to DataFrame
        For each network a row per slice or window, indexed by its start in seconds, and a column
        of probabilities per genre.
    distance : float
        From the song's features to those of the nearest training track, as the dense network
        scales them; the median over the windows.
    strangeness : float
        How unlike the training tracks the song is: the share of validation tracks that lie nearer
        to a training track. 0.5 is usual for unmet music of these genres, above 0.95 is not.
    """

    path: Path
    seconds: float
    probabilities: dict[str, pd.DataFrame]
    distance: float
    strangeness: float

    @property
    def name(self) -> str:
        """The song's file name, as it can be shown."""
        return display_name(self.path.name)

    @property
    def overall(self) -> pd.DataFrame:
        """The vote over the whole song: mean probabilities, a row per network, best first."""
        votes = pd.DataFrame({name: table.mean() for name, table in self.probabilities.items()}).T
        return votes[votes.mean().sort_values(ascending=False).index]

    def verdicts(self) -> list[str]:
        """Return a line per network, then what to think of them."""
        lines = []
        for name, row in self.overall.iterrows():
            best = ", ".join(f"{genre} {share:.0%}" for genre, share in row.nlargest(3).items())
            unsure = " (no genre reaches one half: it is unsure)" if row.max() < UNSURE else ""
            lines.append(f"{name}: {best}{unsure}")
        farther = (
            f"By its features, the song is farther from every training track than "
            f"{self.strangeness:.0%} of the validation tracks are"
        )
        unlike = ": it is unlike all that the networks know, and they can only guess."
        return [*lines, farther + (unlike if self.strangeness >= UNLIKE else ", which is usual.")]

    def as_dict(self) -> dict[str, object]:
        """Return everything as numbers and text, for a JSON file; times in seconds."""
        networks = {
            name: {
                "overall": self.overall.loc[name].round(4).to_dict(),
                "windows": [
                    {"start": float(start)} | row.round(4).to_dict()
                    for start, row in table.iterrows()
                ],
            }
            for name, table in self.probabilities.items()
        }
        return {
            "song": self.name,
            "seconds": self.seconds,
            "distance": self.distance,
            "strangeness": self.strangeness,
            "networks": networks,
        }

    def picture(self) -> tuple[bytes, str]:
        """Return the figure as a PNG file, and in words for those who cannot see it."""
        import matplotlib.pyplot as plt

        axes = plots.song(self.probabilities, title=self.name)
        figure = axes[0].figure
        png = plots.png(figure)
        plt.close(figure)
        return png, plots.spoken(figure)

    def __repr__(self) -> str:
        return "\n".join([self.name, *self.verdicts()])

    def _repr_html_(self) -> str:
        png, words = self.picture()
        source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
        start = max(0.0, (self.seconds - PLAYER_SECONDS) / 2)
        excerpt = read_audio(self.path, SAMPLE_RATE, start, PLAYER_SECONDS)
        label = f"{self.name}, from {start:.0f} s" if start else self.name
        figure = f'<img alt="{html.escape(words)}" style="max-width: 100%" src="{source}">'
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self.verdicts())
        return figure + player(excerpt, SAMPLE_RATE, label).data + lines


def classify_song(path: str | Path, models: Models, hop_seconds: float = 1.0) -> Prediction:
    """Ask both networks for the genre of a song, from its beginning to its end.

    The CNN hears slices of 2 seconds; the dense network gets the features of windows as long as
    the tracks it learned from (of the whole song, if that is shorter), each overlapping the next
    by half, or, in songs of hours, 100 of them evenly placed. The song is read piece by piece.

    Parameters
    ----------
    path : str or path
        Any file that `read_audio` reads, of at least 2 seconds.
    models : Models
    hop_seconds : float
        Step from one slice of the CNN to the next, in seconds.

    Returns
    -------
    Prediction

    Raises
    ------
    AudioError
        If the file cannot be read, is shorter than 2 seconds, or is silent throughout.
    ValueError
        If `hop_seconds` is not positive.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    seconds = read_header(path, exact=True)[0]
    if not hop_seconds > 0:
        raise ValueError(f"hop_seconds is {hop_seconds:g}, but slices must move on")
    if seconds < SLICE_SECONDS:
        raise AudioError(
            path, f"lasts {seconds:.1f} s", f"take at least {SLICE_SECONDS:g} s of a song"
        )
    # A file may hold a little less than its header says, as read_audio allows.
    window = min(models.track_seconds, max(SLICE_SECONDS, seconds - MISSING_SECONDS_ALLOWED))
    slices = _hear(
        path, seconds, SLICE_SECONDS, hop_seconds, lambda pieces: _ask(models.cnn, pieces)
    )
    hop = max(window / 2, seconds / MOST_WINDOWS)
    features = _hear(path, seconds, window, hop, _feature_rows)
    dense = _ask(models.dense, features.to_numpy(np.float32))
    scaled = scaled_features(models.dense, features.to_numpy(np.float32))
    distance = float(np.median(nearest_distances(models.known, scaled)))
    strangeness = float(np.mean(models.distances < distance))
    tables = {
        DENSE: pd.DataFrame(dense, features.index, models.genres),
        CNN: slices.set_axis(models.genres, axis="columns"),
    }
    return Prediction(Path(path), seconds, tables, distance, strangeness)


def choose_song(models: Models) -> ipywidgets.Widget:
    """Return a button that takes a file from the reader's machine, and shows what is heard in it.

    Parameters
    ----------
    models : Models

    Returns
    -------
    ipywidgets.Widget
        For JupyterLab, Binder and Colab. Large files, of more than 10 MB or so, may not pass; give
        their path to `classify_song` instead.

    Raises
    ------
    ModuleNotFoundError
        If ipywidgets is not installed.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    from ipywidgets import FileUpload, Output, VBox

    accepted = ",".join(["audio/*", *sorted(AUDIO_SUFFIXES)])
    button = FileUpload(accept=accepted, multiple=False, description="Choose a song")
    shown = Output()

    def show(change: dict[str, object]) -> None:
        shown.clear_output()
        with shown:
            for file in change["new"]:
                _show_upload(file["name"], bytes(file["content"]), models)

    button.observe(show, names="value")
    return VBox([button, shown])


def _show_upload(name: str, content: bytes, models: Models) -> None:
    from IPython.display import display

    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder, Path(name).name)
        song.write_bytes(content)
        try:
            display(classify_song(song, models))
        except AudioError as error:
            print(f"{display_name(song.name)}: {error.reason}; {error.way_out}")


def _ask(network: object, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return network.predict(inputs, batch_size=64, verbose=0)


def _hear(
    path: str | Path,
    song_seconds: float,
    seconds: float,
    hop_seconds: float,
    listen: Callable[[NDArray[np.float32]], NDArray | pd.DataFrame],
) -> pd.DataFrame:
    """Return what a function makes of each slice of a song, indexed by the slice's start."""
    rows, starts, lowest, highest = [], [], np.inf, -np.inf
    for start, slices in _pieces(path, song_seconds, seconds, hop_seconds):
        rows.append(pd.DataFrame(listen(slices)))
        starts.append(start)
        lowest, highest = min(lowest, slices.min()), max(highest, slices.max())
    if not rows:
        raise AudioError(path, f"holds less than the {seconds:.1f} s that its header promises")
    if highest - lowest < 2 * SILENT:  # wherever they lie: an offset is no sound
        raise AudioError(path, "is silent from beginning to end", "choose one that sounds")
    table = pd.concat(rows)
    return table.set_index(pd.Index(np.concatenate(starts), name="start"))


def _pieces(
    path: str | Path, song_seconds: float, seconds: float, hop_seconds: float
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """Read a song piece by piece, and yield the slices of each and where in the song they start."""
    hop_seconds = max(1, round(hop_seconds * SAMPLE_RATE)) / SAMPLE_RATE  # slices start at samples
    n_slices = max(1, int((PIECE_SECONDS - seconds) // hop_seconds) + 1)
    length = (n_slices - 1) * hop_seconds + seconds
    firsts = np.arange(0, song_seconds - seconds + 1e-9, n_slices * hop_seconds)
    for first in tqdm(firsts, "listen", unit="piece", leave=False):
        # A hundredth of a second more than needed: rounding must not cost the last slice.
        samples = read_audio(path, SAMPLE_RATE, float(first), length + 0.01)
        if len(samples) < round(seconds * SAMPLE_RATE):
            return
        slices = cut(samples, SAMPLE_RATE, seconds, hop_seconds)[:n_slices]
        yield first + hop_seconds * np.arange(len(slices)), slices


def _feature_rows(slices: NDArray[np.float32]) -> pd.DataFrame:
    rows = [track_features(samples, SAMPLE_RATE) for samples in slices]
    return pd.DataFrame(rows)[FEATURE_NAMES]
