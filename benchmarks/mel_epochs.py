"""How many epochs suit the mel CNN, in other folds of artists than those of the answers."""

from __future__ import annotations

import click
import numpy as np
import pandas as pd
from tqdm import tqdm

from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.evaluation import accuracy_interval

from .answers import Exam, Fold
from .common import artist_groups, show
from .mel import EPOCHS, ask_mel, train_mel
from .recipe import FIRST_SEED
from .tables import of_manifest


def table(exam: Exam, tried: list[Fold], epochs: tuple[int, ...]) -> pd.DataFrame:
    """Return the accuracy over some folds' test tracks for each number of epochs."""
    genres, rows = np.array(exam.genres), []
    tracks = exam.tracks.iloc[np.concatenate([fold.test for fold in tried])]
    for number in epochs:
        said = []
        for fold in tqdm(tried, f"{number} epochs"):
            known = [exam.spectrograms[place] for place in fold.train]
            labels = exam.labels[fold.train]
            network = train_mel(known, labels, len(genres), fold.number, epochs=number)
            given = ask_mel(network, [exam.spectrograms[place] for place in fold.test])
            said.append(genres[given.argmax(axis=1)])
        score = accuracy_interval(tracks["genre"], np.concatenate(said), artist_groups(tracks))
        rows.append({"epochs": number} | score._asdict())
    return pd.DataFrame(rows)


@click.command()
@click.argument("folder")
@click.option("--epochs", multiple=True, default=(EPOCHS, 12), show_default=True)
@click.option("--fold", "numbers", multiple=True, default=(0, 1), show_default=True)
def main(folder: str, epochs: tuple[int, ...], numbers: tuple[int, ...]) -> None:
    """Train the mel CNN on the tracks in FOLDER for several numbers of epochs; minutes a fold."""
    try:
        exam = Exam.of(of_manifest(load_tracks(folder)), 0)
    except (CourseError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    folds = exam.folds("artist", FIRST_SEED + 1)
    tried = [fold for fold in folds if fold.seed == FIRST_SEED and fold.number in numbers]
    show(table(exam, tried, epochs))


if __name__ == "__main__":
    main()
