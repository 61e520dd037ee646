"""Figures that a lesson shows more than once, in one style, each with alternative text.

Every function takes Matplotlib axes (or makes them), draws, and returns them. The text a
screen reader speaks is set with `alt_text`; `use_style` sees to it that it is stored with
the figure in the notebook.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

if TYPE_CHECKING:
    from gtzan_helpers.evaluation import Score

# Paul Tol's "muted" palette, which colour-blind readers tell apart, and black:
# https://personal.sron.nl/~pault/
_GTZAN_COLORS = {
    "blues": "#332288",
    "classical": "#CC6677",
    "country": "#DDCC77",
    "disco": "#117733",
    "hiphop": "#88CCEE",
    "jazz": "#882255",
    "metal": "#44AA99",
    "pop": "#000000",
    "reggae": "#AA4499",
    "rock": "#999933",
}
# Two colours that are no genre's.
INK, ACCENT = "#222222", "#D55E00"

_STYLE = {
    "figure.figsize": (8.0, 3.6),
    "figure.dpi": 90,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 12,
    "axes.prop_cycle": mpl.cycler(color=[INK, ACCENT, *list(_GTZAN_COLORS.values())[3:]]),
    "font.size": 11,
    "image.cmap": "magma",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


# For names in other scripts, where the machine has one of them.
_FONTS = (
    *(
        "Noto Sans CJK JP",
        "Noto Sans CJK SC",
        "Noto Sans JP",
        "Noto Sans SC",
        "Droid Sans Fallback",
    ),
    *("WenQuanYi Micro Hei", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo"),
    *("Yu Gothic", "MS Gothic", "Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS"),
)


def use_style() -> None:
    """Set the course's figure style, and store alternative text with every figure shown.

    Outside IPython only the style is set.
    """
    known = {font.name for font in fontManager.ttflist}
    families = ["sans-serif", *(name for name in _FONTS if name in known)]
    plt.rcParams.update(_STYLE | {"font.family": families})
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return
    if shell := get_ipython():
        # A MIME bundle comes before the PNG formatter, which the inline backend replaces.
        shell.display_formatter.mimebundle_formatter.for_type(Figure, _figure_with_alt_text)


def _finish(ax: Axes | Sequence[Axes] | np.ndarray, words: str) -> None:
    """Give a figure its alternative text; what is written in it holds names, and no formulas."""
    alt_text(ax, words)
    for text in np.ravel(np.asarray(ax, dtype=object))[0].figure.findobj(Text):
        # Matplotlib's own labels of logarithmic axes are formulas.
        if text.get_text() and "\\mathdefault" not in text.get_text():
            text.set(text=_printable(text.get_text()), parse_math=False)


def _name_ticks(axis: Axis, names: Iterable[str], **look: object) -> None:
    """Write names beside an axis, from 0 on."""
    names = [_printable(name) for name in names]
    axis.set_ticks(range(len(names)), names, **look)


def _printable(name: str) -> str:
    """Return a name with ? for each byte that is no text, which a file's name may hold."""
    return str(name).encode("utf-8", "replace").decode("utf-8")


def alt_text(ax: Axes | Sequence[Axes] | np.ndarray, text: str) -> Axes | Sequence[Axes]:
    """Say what a figure shows, for those who cannot see it.

    Parameters
    ----------
    ax : Axes, or several
        Any axes of the figure.
    text : str
        What a reader would see: kind of figure, axes, finding.

    Returns
    -------
    `ax`, unchanged
    """
    first = ax if isinstance(ax, Axes) else np.ravel(np.asarray(ax, dtype=object))[0]
    first.figure._alt_text = " ".join(_printable(text).split())
    return ax


def genre_colors(genres: Sequence[str]) -> dict[str, str]:
    """Give each genre its colour: GTZAN's ten always the same one, others what is left.

    Parameters
    ----------
    genres : sequence of str
        All genres of the data; for genres that are not GTZAN's, others may change their colour.

    Returns
    -------
    dict of genre to a hexadecimal colour
    """
    colors = {g: _GTZAN_COLORS[g] for g in genres if g in _GTZAN_COLORS}
    others = sorted(set(genres) - set(colors))
    palette = list(_GTZAN_COLORS.values())
    left = [c for c in palette if c not in colors.values()] or palette
    return colors | {g: left[i % len(left)] for i, g in enumerate(others)}


def waveform(
    samples: np.ndarray,
    sample_rate: int = 22050,
    *,
    start: float = 0.0,
    title: str = "Waveform",
    ax: Axes | None = None,
) -> Axes:
    """Draw amplitude over time.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
    sample_rate : int
        Hz.
    start : float
        The time of the first sample, in seconds.
    title : str
        States what the figure shows.
    ax : Axes, optional

    Returns
    -------
    Axes

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    ax = ax or plt.subplots(figsize=(8, 2.4))[1]
    seconds = start + np.arange(len(samples)) / sample_rate
    ax.plot(seconds, samples, linewidth=0.6 if len(samples) > 2000 else 1.4)
    ax.set(title=title, xlabel="time (s)", ylabel="amplitude")
    ax.margins(x=0)
    peak, length = float(np.abs(samples).max(initial=0)), len(samples) / sample_rate
    _finish(ax, f"{title}: amplitude over {length:.3g} seconds, largest absolute value {peak:.2f}.")
    return ax


def spectrum(
    samples: np.ndarray,
    sample_rate: int = 22050,
    *,
    title: str = "Spectrum",
    label: str = "",
    color: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how much of each frequency a recording holds, on average (Welch's method).

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
    sample_rate : int
        Hz.
    title, label : str
        Title of the figure; name of this line in the legend.
    color : str, optional
    ax : Axes, optional
        Axes that hold one spectrum already can take another.

    Returns
    -------
    Axes

    Notes
    -----
    Taught in notebooks/04_slice_waveforms.ipynb.
    """
    from scipy.signal import welch

    ax = ax or plt.subplots()[1]
    # A tenth of a second at any rate, so that spectra of different rates can be compared.
    frequencies, power = welch(samples, sample_rate, nperseg=min(sample_rate // 10, len(samples)))
    ax.plot(frequencies, 10 * np.log10(power + 1e-12), label=label or None, color=color)
    ax.set(title=title, xlabel="frequency (Hz)", ylabel="power (dB)")
    if label:
        ax.legend()
    _finish(ax, f"{title}: power in decibels against frequency up to {frequencies[-1]:.0f} Hz.")
    return ax


def spectrogram(
    samples: np.ndarray,
    sample_rate: int = 22050,
    *,
    mel: bool = False,
    title: str = "Spectrogram",
    ax: Axes | None = None,
) -> Axes:
    """Draw which frequencies sound when, in decibels below the loudest.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
    sample_rate : int
        Hz.
    mel : bool
        Use the mel scale, whose steps sound equally far apart.
    title : str
    ax : Axes, optional

    Returns
    -------
    Axes

    Notes
    -----
    Taught in notebooks/02_extract_features.ipynb.
    """
    import librosa
    import librosa.display

    ax = ax or plt.subplots()[1]
    if mel:
        decibels = librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=sample_rate))
    else:
        decibels = librosa.amplitude_to_db(np.abs(librosa.stft(samples)))
    image = librosa.display.specshow(
        decibels - decibels.max(),
        sr=sample_rate,
        x_axis="time",
        y_axis="mel" if mel else "log",
        vmin=-80,
        vmax=0,
        ax=ax,
    )
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (Hz)")
    ax.figure.colorbar(image, ax=ax, format="%+d dB", pad=0.01)
    scale = "mel-scaled" if mel else "logarithmic"
    _finish(ax, f"{title}: brightness shows level in decibels over time and {scale} frequency.")
    return ax


def tracks_by_artist(tracks: pd.DataFrame, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw one bar a genre, each artist one piece of it, those with most tracks first.

    Parameters
    ----------
    tracks : DataFrame with columns genre, artist
        An artist of "" is unknown, and drawn pale.
    title : str
    ax : Axes, optional

    Returns
    -------
    Axes

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    genres = sorted(tracks["genre"].unique())
    ax = ax or plt.subplots(figsize=(8, 0.35 * len(genres) + 1.2))[1]
    colors = genre_colors(genres)
    for row, genre in enumerate(genres):
        counts = tracks.loc[tracks["genre"] == genre, "artist"].value_counts()
        known = counts.drop("", errors="ignore")
        left = np.concatenate([[0], known.cumsum()[:-1]]) if len(known) else []
        ax.barh(row, known, left=left, color=colors[genre], edgecolor="white", linewidth=1.5)
        if "" in counts:
            ax.barh(row, counts[""], left=known.sum(), color="#DDDDDD", edgecolor="white")
    ax.set(title=title or "Tracks per genre, one piece an artist", xlabel="tracks")
    _name_ticks(ax.yaxis, genres)
    ax.invert_yaxis()
    artists = tracks.loc[tracks["artist"] != ""].groupby("genre")["artist"].nunique()
    parts = [
        f"{g} {int((tracks['genre'] == g).sum())} tracks of {artists.get(g, 0)} known artists"
        for g in genres
    ]
    _finish(ax, f"Bars of tracks per genre, cut into artists: {'; '.join(parts)}.")
    return ax


def scores(
    results: Mapping[str, Score], *, title: str = "", majority: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw accuracies with their intervals, one line each, beside the majority baseline.

    Parameters
    ----------
    results : mapping of name to Score
        Drawn from top to bottom in the order given.
    title : str
        States what the scores show.
    majority : bool
        Draw the majority baseline of the last score.
    ax : Axes, optional

    Returns
    -------
    Axes

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    if not results:
        raise ValueError("there are no scores to draw")
    ax = ax or plt.subplots(figsize=(8, 0.5 * len(results) + 1.4))[1]
    for row, score in enumerate(results.values()):
        ax.plot([score.low, score.high], [row, row], color=INK, linewidth=3, alpha=0.35)
        ax.plot(score.accuracy, row, "o", color=INK, markersize=8)
        ax.annotate(
            f"{score.accuracy:.2f}",
            (score.accuracy, row),
            textcoords="offset points",
            xytext=(0, 8),
            ha="center",
        )
    if majority:
        ax.axvline(score.majority, color=ACCENT, linestyle="--")
        ax.annotate(
            "majority",
            (score.majority, -0.55),
            color=ACCENT,
            ha="left",
            xytext=(4, 0),
            textcoords="offset points",
        )
    ax.set(title=title or "Accuracy", xlabel="accuracy, with 95 % interval", xlim=(0, 1.02))
    _name_ticks(ax.yaxis, results)
    ax.set_ylim(len(results) - 0.5, -0.75)
    listed = "; ".join(
        f"{name} {s.accuracy:.2f} [{s.low:.2f}, {s.high:.2f}]" for name, s in results.items()
    )
    baseline = f"; majority baseline {score.majority:.2f}" if majority else ""
    _finish(ax, f"{title or 'Accuracy'}. Points with intervals: {listed}{baseline}.")
    return ax


def confusion(
    truth: Sequence[str],
    predicted: Sequence[str],
    genres: Sequence[str],
    *,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each genre was taken for each other: true genres in rows, counts in cells.

    Parameters
    ----------
    truth, predicted : sequence of str, one entry a track
    genres : sequence of str
        Order of rows and columns.
    title : str
    ax : Axes, optional

    Returns
    -------
    Axes

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    strangers = sorted({*truth, *predicted} - set(genres))
    if strangers:
        raise ValueError(f"{', '.join(strangers)}: not among the genres {', '.join(genres)}")
    counts = pd.crosstab(
        pd.Categorical(truth, genres), pd.Categorical(predicted, genres), dropna=False
    ).to_numpy()
    ax = ax or plt.subplots(figsize=(6.2, 5.2))[1]
    ax.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = count / max(counts[row].sum(), 1)
        if count:
            ax.text(
                column,
                row,
                count,
                ha="center",
                va="center",
                color="white" if share > 0.5 else "black",
            )
    _name_ticks(ax.xaxis, genres, rotation=45, ha="right")
    _name_ticks(ax.yaxis, genres)
    ax.set(title=title or "Confusion matrix", xlabel="predicted genre", ylabel="true genre")
    ax.spines[:].set_visible(False)
    right = int(np.trace(counts))
    _finish(
        ax,
        f"{title or 'Confusion matrix'}: {right} of {int(counts.sum())} on the diagonal. "
        + _largest_confusions(counts, genres),
    )
    return ax


def history(
    table: pd.DataFrame, *, title: str = "", axes: Sequence[Axes] | None = None
) -> np.ndarray:
    """Draw loss and accuracy over the epochs, training beside validation.

    Parameters
    ----------
    table : DataFrame with columns epoch, loss, val_loss, accuracy, val_accuracy
        As returned by `fit`.
    title : str
    axes : two Axes, optional

    Returns
    -------
    ndarray of two Axes

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")[1] if axes is None else axes
    for ax, name in zip(axes, ("loss", "accuracy"), strict=True):
        ax.plot(table["epoch"], table[name], color=INK, label="training")
        ax.plot(table["epoch"], table[f"val_{name}"], color=ACCENT, ls="--", label="validation")
        ax.set(xlabel="epoch", ylabel=name)
    axes[1].set_ylim(0, 1.02)
    axes[0].legend()
    axes[0].figure.suptitle(title or "Training", x=0.02, ha="left", fontweight="bold", fontsize=12)
    last = table.iloc[-1]
    _finish(
        axes,
        f"{title or 'Training'}: loss and accuracy over {len(table)} epochs; at the end training "
        f"accuracy {last['accuracy']:.2f}, validation accuracy {last['val_accuracy']:.2f}.",
    )
    return axes


def probabilities(
    table: pd.DataFrame, *, title: str = "", top: int = 4, ax: Axes | None = None
) -> Axes:
    """Draw genre probabilities over time, the likeliest genres named at their lines' ends.

    Parameters
    ----------
    table : DataFrame
        One row a slice, indexed by its start in seconds; one column a genre.
    title : str
    top : int
        How many genres to name; the others are grey.
    ax : Axes, optional

    Returns
    -------
    Axes

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    ax = ax or plt.subplots(figsize=(8, 2.8))[1]
    named = list(table.mean().sort_values(ascending=False).index[:top])
    colors = genre_colors(list(table.columns))
    marker = "o" if len(table) < 10 else ""
    for genre in [g for g in table.columns if g not in named]:
        ax.plot(table.index, table[genre], marker=marker, color="#CCCCCC", linewidth=1)
    for genre, style in zip(named, ("-", "--", "-.", ":") * top, strict=False):
        look = {"linestyle": style, "marker": marker, "color": _readable(colors[genre])}
        ax.plot(table.index, table[genre], label=genre, **look)
    ax.set(title=title or "Genre over time", xlabel="start of the slice (s)", ylabel="probability")
    ax.set_ylim(-0.02, 1.02)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    means = ", ".join(f"{g} {table[g].mean():.2f}" for g in named)
    _finish(ax, f"{title or 'Genre over time'}: mean probability over the song {means}.")
    return ax


def song(tables: Mapping[str, pd.DataFrame], *, title: str = "") -> list[Axes]:
    """Draw what several networks make of a song, one under the other, over the same time.

    Parameters
    ----------
    tables : mapping of name to DataFrame
        As `probabilities` takes them.
    title : str
        Such as the song's name.

    Returns
    -------
    list of Axes

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    size = (8, 2.4 * len(tables))
    axes = plt.subplots(len(tables), figsize=size, sharex=True, layout="constrained")[1]
    axes, words = list(np.ravel(axes)), []
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        probabilities(table, title=f"{name}: {table.mean().idxmax()}", ax=ax)
        words.append(spoken(ax.figure))
    for ax in axes[:-1]:
        ax.set_xlabel("")
    if title:
        axes[0].figure.suptitle(title, x=0.02, ha="left")
    _finish(axes, f"{title}: {' '.join(words)}")
    return axes


def spoken(figure: Figure) -> str:
    """Return what `alt_text` said of a figure, or else the titles and labels of its axes."""
    return getattr(figure, "_alt_text", "") or _titles(figure)


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file; a sign that no font has is an empty box, and not worth a word.

    With Matplotlib's own size and resolution; what is empty around the figure is cut off.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def _figure_with_alt_text(figure: Figure, **_: object) -> tuple[dict, dict]:
    """Make the MIME bundle of a figure, its alternative text in the metadata."""
    text = spoken(figure)
    return (
        {"image/png": base64.b64encode(png(figure)).decode(), "text/plain": f"<Figure: {text}>"},
        {"image/png": {"alt": text}} if text else {},
    )


def _titles(figure: Figure) -> str:
    """Join the titles and axis labels of a figure, for want of a better description."""
    parts = [
        f"{ax.get_title() or ax.get_title(loc='left')} ({ax.get_xlabel()}, {ax.get_ylabel()})"
        for ax in figure.axes
        if ax.get_title() or ax.get_title(loc="left")
    ]
    return "; ".join(parts)


def _largest_confusions(counts: np.ndarray, genres: Sequence[str]) -> str:
    """Name the three commonest mistakes in a matrix of counts."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None, kind="stable")[::-1][:3]
    named = [
        f"{genres[row]} taken for {genres[column]} {wrong[row, column]} times"
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[row, column]
    ]
    return f"Commonest mistakes: {'; '.join(named)}." if named else "No mistakes."


def _readable(color: str) -> tuple[float, float, float]:
    """Darken a pale colour until it reads as a line on white."""
    red, green, blue = to_rgb(color)
    lightness = 0.299 * red + 0.587 * green + 0.114 * blue
    shade = min(1.0, 0.6 / max(lightness, 1e-6))
    return red * shade, green * shade, blue * shade
