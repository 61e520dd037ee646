"""What classifiers say of tracks that they were not trained on, and how good they are at it.

Each system is trained for every fold of three cross-validations by artist and, for contrast, of
three by track, without the fold's own tracks, and asked about these. Its few settings were chosen
beforehand on other folds of the same tracks. Hours for the CNN; what is done is kept, and an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from tqdm import tqdm

from gtzan_helpers.audio import read_track
from gtzan_helpers.cache import digest, kept
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.evaluation import accuracy_interval, genre_report, paired_difference, vote
from gtzan_helpers.faults import usable
from gtzan_helpers.features import FEATURE_NAMES, extract_features, mel_spectrogram
from gtzan_helpers.features import RECIPE as FEATURE_RECIPE
from gtzan_helpers.measured import FIVE, load_answers, measured_folder, write_measured
from gtzan_helpers.models import (
    CNN,
    DENSE,
    PRETRAINED,
    RECIPE,
    SLICE_SECONDS,
    train_cnn,
    train_dense,
)
from gtzan_helpers.pretrained import EMBEDDING_NAMES
from gtzan_helpers.slices import SliceSet
from gtzan_helpers.splits import folds, strictest_split

from .common import artist_groups, as_markdown, made_by, once, scaled, show
from .mel import MEL, ask_mel, train_mel
from .published import fault_filtered
from .tables import embeddings, hashes, of_manifest

VERSION = 1  # of the systems below: a higher one makes answers that are kept count no more
CNN_EPOCHS = 4
N_VOTERS = 5
VOTERS = f"{N_VOTERS} dense networks"
SPLITS = ("artist", "track")
FAULT_FILTERED = "fault-filtered, repaired"
# GTZAN has 1000 tracks; a copy of it may lack some, and `usable` leaves out its faulty ones.
FEWEST_OF_GTZAN = 900
FLATTERS = (
    "these tracks cannot be divided by artist: of every genre, three artists or more must be "
    "known, and those of most tracks. They are divided by track, so all scores flatter. To mend "
    "it, name the artists in a tracks.csv beside the tracks, or give --index"
)
REFERENCE = "SVM"
ACCURACY = "Accuracy, with an interval over artists"  # the title of a table


class Fold(NamedTuple):
    """Which tracks to learn from and which to be asked about, as positions in the table."""

    split: str
    seed: int
    number: int
    train: NDArray[np.intp]
    test: NDArray[np.intp]


@dataclass
class Exam:
    """Usable tracks, numbered from 0, what is known of them, and how long the CNN learns."""

    tracks: pd.DataFrame
    epochs: int = CNN_EPOCHS
    lists: str | None = None

    @classmethod
    def of(cls, tracks: pd.DataFrame, epochs: int, lists: str | None = None) -> Exam:
        """Return the exam of the tracks that can be used, have 57 features, and slices."""
        tracks = usable(tracks)
        short = SliceSet(tracks, seconds=SLICE_SECONDS).too_short
        measured = set(extract_features(tracks)["track_id"]) - set(short)
        known = tracks[tracks["track_id"].isin(measured)].reset_index(drop=True)
        exam = cls(known, epochs, lists)
        if SPLITS[0] not in exam.splits:
            click.echo(FLATTERS, err=True)
        return exam

    @cached_property
    def contents(self) -> str:
        """A short name for the samples of all tracks and all that is said of them."""
        samples = hashes([Path(path) for path in self.tracks["path"]])
        facts = self.tracks[["track_id", "genre", "artist", "recording"]]
        return digest([samples[path] for path in self.tracks["path"]], facts.to_numpy().tolist())

    @cached_property
    def genres(self) -> list[str]:
        """The genres, sorted."""
        return sorted(self.tracks["genre"].unique())

    @cached_property
    def labels(self) -> NDArray[np.intp]:
        """The genre of each track, as a place among the genres."""
        return np.searchsorted(self.genres, self.tracks["genre"].to_numpy(dtype=str))

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """The 57 features of each track."""
        table = extract_features(self.tracks).set_index("track_id")
        return table.loc[self.tracks["track_id"], FEATURE_NAMES].to_numpy(np.float32)

    @cached_property
    def embeddings(self) -> NDArray[np.float32]:
        """The 200 numbers that musicnn has for each track, means over its patches of 3 s."""
        return embeddings(self.tracks)[EMBEDDING_NAMES].to_numpy(np.float32)

    @cached_property
    def untrained_embeddings(self) -> NDArray[np.float32]:
        """The same of a musicnn whose weights are left to chance: a control."""
        return embeddings(self.tracks, untrained=True)[EMBEDDING_NAMES].to_numpy(np.float32)

    @cached_property
    def spectrograms(self) -> list[NDArray[np.float32]]:
        """Mel spectrograms of the tracks, (n_frames, n_bands), in dB."""
        return [mel_spectrogram(read_track(path)) for path in tqdm(self.tracks["path"], "mel")]

    @cached_property
    def slices(self) -> SliceSet:
        """The slices of all tracks."""
        return SliceSet(self.tracks, seconds=SLICE_SECONDS)

    @cached_property
    def track_of_slice(self) -> NDArray[np.intp]:
        """The position of each slice's track."""
        positions = pd.Series(np.arange(len(self.tracks)), self.tracks["track_id"])
        return positions[self.slices.table["track_id"]].to_numpy()

    def folds(self, split: str, seeds: int) -> Iterator[Fold]:
        """Yield the folds of one way of keeping apart; the published division has one."""
        for seed in range(seeds):
            if split == FAULT_FILTERED:
                part = fault_filtered(self.tracks, self.lists, repaired=True).to_numpy()
                train = np.flatnonzero((part == "train") | (part == "validation"))
                yield Fold(split, seed, 0, train, np.flatnonzero(part == "test"))
            else:
                for number, parts in enumerate(folds(self.tracks, by=split, seed=seed)):
                    yield Fold(split, seed, number, *parts)

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """The ways of keeping apart, the strictest first: by artist, if enough are known, by track,
        and on the whole of GTZAN the published lists, repaired."""
        if strictest_split(self.tracks) == "track":
            return ("track",)
        of_gtzan = self.tracks["track_id"].str.fullmatch(r"[a-z]+\.000\d\d").sum()
        return (*SPLITS, FAULT_FILTERED) if of_gtzan >= FEWEST_OF_GTZAN else SPLITS


def _ask_sklearn(
    make: Callable[[Exam, Fold], object], inputs: str = "features"
) -> Callable[[Exam, Fold, int], NDArray]:
    def ask(exam: Exam, fold: Fold, seed: int) -> NDArray:
        known = getattr(exam, inputs)
        network = make(exam, fold).fit(known[fold.train], exam.labels[fold.train])
        return network.predict_proba(known[fold.test])

    return ask


def logistic_regression(*_: object) -> Pipeline:
    """Return a logistic regression behind a scaler."""
    return scaled(LogisticRegression(max_iter=5000))


def _svm(exam: Exam, fold: Fold) -> object:
    """Return a support vector machine whose probabilities are fitted on folds of its own tracks."""
    tracks, by = exam.tracks.iloc[fold.train], "track" if fold.split == "track" else "artist"
    groups = tracks["track_id"] if by == "track" else artist_groups(tracks)
    n_folds = min(5, groups.groupby(tracks["genre"]).nunique().min())
    inner = list(folds(tracks, by=by, n_folds=n_folds, seed=fold.seed))
    last = CalibratedClassifierCV(SVC(C=10), method="temperature", cv=inner, ensemble=False)
    return scaled(last)


def _ask_dense(exam: Exam, fold: Fold, seed: int) -> NDArray:
    train = exam.features[fold.train], exam.labels[fold.train]
    network = train_dense(*train, len(exam.genres), seed)
    return network.predict(exam.features[fold.test], verbose=0)


def _ask_voters(exam: Exam, fold: Fold, seed: int) -> NDArray:
    # The first of them is the single network, which is kept already.
    votes = [answers(exam, DENSE, fold, seed + 100 * number) for number in range(N_VOTERS)]
    return np.mean(votes, axis=0)


def _ask_cnn(exam: Exam, fold: Fold, seed: int) -> NDArray:
    train = np.isin(exam.track_of_slice, fold.train)
    network = train_cnn(exam.slices, train, exam.epochs, seed)
    asked = exam.slices.batches(slices_of(exam, fold), shuffle=False)
    return network.predict(asked, verbose=0)


def _ask_mel(exam: Exam, fold: Fold, seed: int, augment: bool = False) -> NDArray:
    known = [exam.spectrograms[place] for place in fold.train]
    network = train_mel(known, exam.labels[fold.train], len(exam.genres), seed, augment)
    return ask_mel(network, [exam.spectrograms[place] for place in fold.test])


def slices_of(exam: Exam, fold: Fold) -> NDArray[np.intp]:
    """Return the slices of a fold's test tracks, in the order in which the CNN is asked."""
    return np.flatnonzero(np.isin(exam.track_of_slice, fold.test))


def rows_of_tracks(exam: Exam, system: str, fold: Fold) -> NDArray[np.intp]:
    """Return the place among a fold's test tracks that each row of answers is about."""
    if system != CNN:
        return np.arange(len(fold.test))
    return np.searchsorted(fold.test, exam.track_of_slice[slices_of(exam, fold)])


SYSTEMS: dict[str, Callable[[Exam, Fold, int], NDArray]] = {
    "majority": _ask_sklearn(lambda *_: DummyClassifier(strategy="prior")),
    "nearest neighbour": _ask_sklearn(lambda *_: scaled(KNeighborsClassifier(1))),
    "logistic regression": _ask_sklearn(logistic_regression),
    REFERENCE: _ask_sklearn(_svm),
    DENSE: _ask_dense,
    VOTERS: _ask_voters,
    CNN: _ask_cnn,
    MEL: _ask_mel,
    f"{MEL}, augmented": partial(_ask_mel, augment=True),
    PRETRAINED: _ask_sklearn(logistic_regression, "embeddings"),
    f"{PRETRAINED}, untrained": _ask_sklearn(logistic_regression, "untrained_embeddings"),
}
# What only shows what something is worth is asked in the strictest folds alone.
CONTROLS = (f"{MEL}, augmented", f"{PRETRAINED}, untrained")


def answers(exam: Exam, system: str, fold: Fold, seed: int | None = None) -> NDArray[np.float32]:
    """Return what a system says of a fold's test tracks, or of their slices; kept once it is known.

    The seed of its weights is that of the folds, with the fold's number, if none is given.
    """
    seed = 10 * fold.seed + fold.number if seed is None else seed
    recipes = VERSION, RECIPE, FEATURE_RECIPE, exam.epochs if system == CNN else 0
    asked = system, seed, fold.split, fold.train.tolist(), fold.test.tolist()
    path = kept(f"answers/{digest(recipes, exam.contents, asked)}.npy")
    return once(path, partial(SYSTEMS[system], exam, fold, seed))


def votes(exam: Exam, system: str, fold: Fold) -> NDArray[np.float64]:
    """Return what a system says of a fold's test tracks, the mean over slices where it has them."""
    return vote(answers(exam, system, fold), rows_of_tracks(exam, system, fold)).to_numpy()


def table(exam: Exam, seeds: int = 3, systems: tuple[str, ...] = tuple(SYSTEMS)) -> pd.DataFrame:
    """Return the answers of all systems in all folds, as `gh.load_answers` has them."""
    tried = [fold for split in exam.splits for fold in exam.folds(split, seeds)]
    wanted = [
        (system, fold)
        for system in systems
        for fold in tried
        if system not in CONTROLS or fold.split == exam.splits[0]
    ]
    rows = []
    for system, fold in tqdm(wanted, "folds"):
        names = {"system": system, "seed": fold.seed, "split": fold.split, "fold": fold.number}
        tracks = exam.tracks.iloc[fold.test][["track_id", "genre", "artist"]].reset_index(drop=True)
        given = pd.DataFrame(votes(exam, system, fold), columns=exam.genres).round(4)
        rows.append(pd.concat([tracks.assign(**names)[[*names, *tracks]], given], axis=1))
    return pd.concat(rows, ignore_index=True)


def summary(said: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return tables: accuracy, difference to the SVM, recall by genre, and agreement."""
    genres = list(said.columns[7:])
    said = said.assign(predicted=said[genres].idxmax(axis="columns"), group=artist_groups(said))
    rows = ["split", "seed", "fold", "track_id", "genre", "group"]
    wide = said.pivot_table("predicted", rows, "system", aggfunc="first").reset_index()
    systems = list(said["system"].unique())
    scores, recalls = [], []
    for split, everything in wide.groupby("split", sort=False):
        for system in systems:
            part = everything[everything[system].notna()]
            if part.empty:
                continue
            truth, groups = part["genre"], part["group"]
            names = {"split": split, "system": system}
            score = accuracy_interval(truth, part[system], groups)._asdict()
            seeds = (part[system] == truth).groupby(part["seed"]).mean()
            score["by seed"] = ", ".join(f"{value:.2f}" for value in seeds)
            if REFERENCE in systems:
                difference = paired_difference(truth, part[system], part[REFERENCE], groups)
                score |= {f"minus {REFERENCE}": str(difference)}
            scores.append(names | score)
            recall = genre_report(truth, part[system])["recall"]
            recalls.append(names | recall.to_dict())
    return {
        ACCURACY: pd.DataFrame(scores),
        "Recall by genre": pd.DataFrame(recalls),
        "Where two agree": pd.DataFrame(agreements(wide, systems)),
    }


def agreements(wide: pd.DataFrame, systems: list[str]) -> Iterator[dict[str, object]]:
    """Yield how often each two systems agree in the strictest folds, and are right there."""
    part = wide[wide["split"] == wide["split"].iloc[0]]
    for place, first in enumerate(systems):
        for second in systems[place + 1 :]:
            same = part[first] == part[second]
            right = (part[first] == part["genre"])[same].mean()
            yield {"first": first, "second": second, "agree": same.mean(), "right there": right}


@click.command()
@click.argument("folder", required=False)
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the table of answers.")
@click.option("--index", help="List of artists, as Sturm's index.txt.")
@click.option("--lists", help="Folder with train_filtered.txt …, for all of GTZAN; else fetched.")
@click.option("--seeds", default=3, show_default=True, help="How many cross-validations.")
@click.option("--epochs", default=CNN_EPOCHS, show_default=True, help="Of the CNN.")
@click.option("--without", multiple=True, type=click.Choice(list(SYSTEMS)), help="Leave out.")
@click.option("--markdown", is_flag=True, help="Print the table as the README shows it.")
def main(
    folder: str | None,
    out: str | None,
    index: str | None,
    lists: str | None,
    seeds: int,
    epochs: int,
    without: tuple[str, ...],
    markdown: bool,
) -> None:
    """Ask all systems about the tracks in FOLDER, and write and sum up their answers.

    Without --out the answers replace those in the package, and FOLDER must hold its 500 tracks.
    Without FOLDER what is there is summed up, which takes no audio.
    """
    if without and out is None:
        raise click.UsageError("the package's answers are those of all systems: give --out")
    try:
        if folder is not None:
            tracks = load_tracks(folder, index)
            exam = Exam.of(tracks if out else of_manifest(tracks), epochs, lists)
            made = table(exam, seeds, tuple(name for name in SYSTEMS if name not in without))
            about = made_by(f"benchmarks.answers --seeds {seeds} --epochs {epochs}")
            write_measured(out or measured_folder(FIVE), {"answers": made}, about)
        said = load_answers(out or FIVE)
    except (CourseError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if markdown:
        scores = summary(said)[ACCURACY]
        ways = "by " + scores["split"]
        click.echo(as_markdown(scores.assign(split=ways), "system", "split"))
        return
    for title, numbers in summary(said).items():
        click.echo(f"\n{title}")
        show(numbers)


if __name__ == "__main__":
    main()
