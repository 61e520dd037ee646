"""What the benchmarks compute, and how the long ones resume."""

import functools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner

import gtzan_helpers as gh
from benchmarks import answers, cited, cnn, costs, mel, mel_epochs, recipe, tables, trained, unlike
from benchmarks.published import fault_filtered
from gtzan_helpers import measured
from gtzan_helpers.measured import measured_folder

RATE = 22050
WITH_PICTURES = (mel.MEL, f"{mel.MEL}, augmented")


@pytest.mark.long
def test_the_table_has_a_row_for_each_way_of_training(monkeypatch, compiled_soon):
    for name, value in compiled_soon.items():
        monkeypatch.setenv(name, value)
    table = cnn.table(n_samples=1600, batch_size=4, n_batches=1, rounds=2, backends=["jax"])
    assert table["layers"].tolist() == ["Keras' own", "ours"]
    assert (table["slowest"] <= table["slices_per_second"]).all()
    assert (table["slices_per_second"] <= table["fastest"]).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Ten tracks of two genres by five artists each, and a copy of one at another level."""
    folder, time = tmp_path_factory.mktemp("tracks"), np.arange(4 * RATE) / RATE
    random = np.random.default_rng(0)
    lines = ["track_id,artist"]
    for genre, hertz in (("jazz", 3000), ("blues", 150)):
        (folder / genre).mkdir()
        for number in range(10):
            tone = np.sin(2 * np.pi * hertz * random.uniform(0.9, 1.1) * time)
            samples = 0.3 * tone + 0.05 * random.standard_normal(len(time))
            soundfile.write(folder / genre / f"{genre}.{number:05d}.wav", samples, RATE)
            lines.append(f"{genre}.{number:05d},{genre} artist {number % 5}")
    (folder / "jazz" / "jazz.00010.wav").write_bytes(
        (folder / "jazz" / "jazz.00003.wav").read_bytes()
    )
    (folder / "tracks.csv").write_text("\n".join([*lines, "jazz.00010,jazz artist 3"]))
    return folder


@pytest.fixture
def two_folds(monkeypatch):
    """Cross-validations of two folds in place of five: each trains networks anew."""
    monkeypatch.setattr(answers, "folds", functools.partial(gh.folds, n_folds=2))


def run(command, *arguments) -> str:
    result = CliRunner().invoke(command, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.long
def test_someone_with_other_tracks_makes_tables_answers_and_networks(
    folder, two_folds, tmp_path, monkeypatch
):
    out = tmp_path / "measured"
    assert "1 of 21 tracks are copies" in run(tables.main, folder, "--out", out)
    tracks, features = gh.load_features(out)
    assert len(tracks) == len(features) == 21
    same = tracks[tracks["recording"] == "jazz.00003"]
    assert same["track_id"].tolist() == ["jazz.00003", "jazz.00010"]

    asked = []
    for name, ask in answers.SYSTEMS.items():
        monkeypatch.setitem(answers.SYSTEMS, name, recorded(asked, name, ask))
    slow = (answers.DENSE, answers.VOTERS, answers.CNN, *WITH_PICTURES)  # others train them
    options = ["--out", out, "--seeds", 2, *(part for name in slow for part in ("--without", name))]
    shown = run(answers.main, folder, *options)
    for title in ("Accuracy", "Recall by genre", "Where two agree"):
        assert title in shown
    said = gh.load_answers(out)
    assert said["system"].nunique() == len(answers.SYSTEMS) - len(slow)
    asked_about = said.groupby(["system", "split", "seed"])["track_id"].nunique()
    # Five systems in all folds, the untrained musicnn in those by artist alone.
    assert asked_about.eq(20).all() and len(asked_about) == 2 * (5 * 2 + 1)
    assert len(gh.load_embeddings(out)) == 21
    assert gh.load_features(out)[0].equals(tracks)  # the tables that were there still count
    n_asked = len(asked)
    run(answers.main, folder, *options)
    assert len(asked) == n_asked  # all was kept: an interrupted run goes on where it stopped


def recorded(asked, name, ask):
    def wrapped(*arguments):
        asked.append(name)
        return ask(*arguments)

    return wrapped


@pytest.mark.long
def test_networks_of_ones_own_know_their_scores_and_are_not_overwritten(
    folder, two_folds, tmp_path, monkeypatch
):
    monkeypatch.setattr(unlike, "N_NOISES", 5)
    monkeypatch.setattr(unlike, "load_tracks", lambda _: gh.load_tracks(folder))
    monkeypatch.setattr(unlike, "load_songs", lambda: gh.load_songs().head(1))
    out = tmp_path / "models"
    run(trained.main, folder, "--out", out, "--epochs", 1, "--seeds", 1)
    models = gh.load_models(out)
    assert models.genres == ["blues", "jazz"] and "20 usable tracks" in models.trained_on
    assert models.card.loc["dense network", "accuracy"] > 0.9  # 150 and 3000 Hz are far apart
    assert set(models.card["by"]) == {"artist"} and "flatters" not in models.described()
    assert len(models.known) == len(models.distances) == 20
    result = CliRunner().invoke(trained.main, [str(folder), "--out", str(out)])
    assert result.exit_code == 1 and str(out) in result.output
    song = next((folder / "blues").glob("*.wav"))
    third = gh.classify_song(song, models, third=True).overall.loc["musicnn"]
    assert third.idxmax() == "blues" and third.sum() == pytest.approx(1)
    heard = unlike.table(models).set_index("sound")
    assert heard.loc["white noise", "n"] == unlike.N_NOISES
    assert heard.loc["white noise", "speaks up"] == 1


@pytest.mark.long
@pytest.mark.parametrize("system", WITH_PICTURES)
def test_a_network_learns_from_pictures_of_tracks_as_they_are_and_changed(folder, system):
    exam = answers.Exam.of(gh.load_tracks(folder), epochs=1)
    fold = next(exam.folds("artist", 1))
    given = answers.SYSTEMS[system](exam, fold, 0)
    assert given.shape == (len(fold.test), 2)
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-5)


@pytest.mark.long
def test_numbers_of_epochs_are_compared_in_folds_that_the_answers_do_not_use(folder, monkeypatch):
    monkeypatch.setattr(mel_epochs, "of_manifest", lambda tracks: tracks)
    shown = run(mel_epochs.main, folder, "--epochs", 1, "--fold", 0)
    assert "accuracy" in shown and shown.split()[-5] == "1"


def test_changes_of_a_picture_are_within_their_bounds_and_never_twice_the_same():
    spectrogram = np.random.default_rng(0).uniform(-60, 0, (200, 64)).astype(np.float32)
    random = np.random.default_rng(0)
    once, again = mel.changed(spectrogram, random), mel.changed(spectrogram, random)
    assert once.shape == again.shape == mel.pictures(spectrogram).shape == (3, 64, 64)
    assert abs(once - again).mean() > 0.1
    most = mel.GAIN_DB + mel.SLOPE_DB
    assert once.max() < 0.1 + most and once.min() > -60 - most


@pytest.mark.long
def test_costs_are_measured_for_each_system_on_the_clock(folder, monkeypatch):
    monkeypatch.setattr(costs, "SYSTEMS", {name: lambda *_: None for name in answers.SYSTEMS})
    monkeypatch.setattr(costs, "N_TRACKS", 1)
    table = costs.table(answers.Exam.of(gh.load_tracks(folder), epochs=1)).set_index("system")
    assert (table["seconds a track"] > 0).all()
    assert table.loc["logistic regression", "learned numbers"] == 58 * 2
    assert table.loc["1-D CNN", "learned numbers"] > table.loc["mel CNN", "learned numbers"]


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A copy of what the package holds, in its place."""
    place = shutil.copytree(measured_folder("gtzan-five"), tmp_path / "package" / "gtzan-five")
    monkeypatch.setattr(measured, "_FOLDER", place.parent)
    return place


@pytest.mark.parametrize("command", [tables.main, answers.main, trained.main])
def test_only_its_own_tracks_can_replace_what_is_in_the_package(folder, package, command):
    before = {path: path.read_bytes() for path in package.rglob("*.*")}
    result = CliRunner().invoke(command, [str(folder)])
    assert result.exit_code == 1 and "Traceback" not in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert "479 missing" in line and "21 with other samples" in line and "--out" in line
    assert {path: path.read_bytes() for path in package.rglob("*.*")} == before


def test_answers_of_some_systems_only_do_not_replace_those_of_the_package(folder, package):
    result = CliRunner().invoke(answers.main, [str(folder), "--without", "SVM"])
    assert result.exit_code == 2 and "--out" in result.output


@pytest.mark.long
def test_a_recipe_with_everything_changed_is_tried_once_and_compared(folder, monkeypatch):
    exam = answers.Exam.of(gh.load_tracks(folder), 1)
    everything = recipe.Recipe(1, 16, 1e-3, True, 0.3, 0.1, 1e-2, 0.1, 0.9, True)
    small = {"own": recipe.Recipe(epochs=1), "all": everything}
    monkeypatch.setattr(recipe, "RECIPES", small)
    (tried,) = [fold for fold in exam.folds("artist", 1) if fold.number == 0]
    table = recipe.summary(exam, [tried], list(small))
    assert table["recipe"].tolist() == list(small) and table["accuracy"].between(0, 1).all()
    monkeypatch.delattr(recipe, "fit")
    assert recipe.summary(exam, [tried], list(small)).equals(table)  # all was kept


@pytest.mark.long
def test_where_artists_are_unknown_scores_are_by_track_and_said_to_flatter(
    folder, two_folds, tmp_path, monkeypatch
):
    copy = shutil.copytree(folder, tmp_path / "tracks")
    (copy / "tracks.csv").write_text("track_id,artist\njazz.00000,somebody\n")
    quick = ("majority", answers.REFERENCE)
    without = (
        part for name in answers.SYSTEMS if name not in quick for part in ("--without", name)
    )
    assert "--index" in run(answers.main, copy, "--out", tmp_path / "out", "--seeds", 2, *without)
    said = gh.load_answers(tmp_path / "out")
    assert said.groupby("system")[["split", "seed"]].value_counts().eq(20).all()
    assert set(said["split"]) == {"track"} and set(said["seed"]) == {0, 1}
    for name in (answers.DENSE, answers.CNN):  # only those on all tracks are trained
        monkeypatch.setitem(answers.SYSTEMS, name, answers.SYSTEMS["majority"])
    monkeypatch.setattr(answers, "rows_of_tracks", lambda exam, system, fold: range(len(fold.test)))
    run(trained.main, copy, "--out", tmp_path / "models", "--epochs", 1, "--seeds", 1)
    models = gh.load_models(tmp_path / "models")
    assert set(models.card["by"]) == {"track"}
    assert "flatters" in models.described() and "artists kept out" not in gh.model_cards(models)


def test_the_answers_in_the_package_are_summed_up_without_audio_as_the_readme_shows_them():
    shown = run(answers.main, "--markdown").strip()
    assert shown in (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_summary_counts_accuracy_recall_difference_and_agreement():
    rows = [("SVM", "abab", "aabb"), ("1-D CNN", "aabb", "aabb")]
    said = pd.concat(
        pd.DataFrame(
            {
                "system": system,
                "seed": 0,
                "split": "artist",
                "fold": 0,
                "track_id": list("1234"),
                "genre": list(genres),
                "artist": list("1234"),
                "a": [float(name == "a") for name in named],
                "b": [float(name == "b") for name in named],
            }
        )
        for system, named, genres in rows
    )
    scores, recalls, agree = answers.summary(said).values()
    assert scores["accuracy"].tolist() == [0.5, 1.0]
    assert "+0.50" in scores.iloc[1][f"minus {answers.REFERENCE}"]
    assert recalls.iloc[1][["a", "b"]].tolist() == [1.0, 1.0]
    assert agree.iloc[0][["agree", "right there"]].tolist() == [0.5, 1.0]


def test_the_published_division_is_asked_about_on_the_whole_of_gtzan(
    real_data, tmp_path, monkeypatch
):
    for name in ("features_30_sec.csv", "sturm/index.txt"):
        shutil.copy(real_data / name, tmp_path)
    tracks, _ = gh.load_features(tmp_path / "features_30_sec.csv")
    monkeypatch.setattr(
        answers,
        "fault_filtered",
        lambda tracks, lists, repaired: fault_filtered(tracks, real_data / "sturm", repaired),
    )
    exam = answers.Exam(tracks)
    assert exam.splits == ("artist", "track", answers.FAULT_FILTERED)
    (fold,) = exam.folds(answers.FAULT_FILTERED, 1)
    assert len(fold.test) > 250 and not set(fold.train) & set(fold.test)
    artists = tracks["artist"].where(tracks["artist"] != "").str.casefold()
    assert not set(artists[fold.train].dropna()) & set(artists[fold.test].dropna())


def test_the_folder_may_hold_more_than_the_tracks_of_a_manifest(folder, tmp_path):
    tracks = gh.load_tracks(folder)
    some = tables.hashes([Path(path) for path in tracks["path"][:3]])
    manifest = tmp_path / "some.sha256"
    lines = zip(some.values(), tracks["track_id"][:3], strict=True)
    manifest.write_text("".join(f"{digest}  {name}\n" for digest, name in lines))
    chosen = tables.of_manifest(tracks, manifest)
    assert chosen["track_id"].tolist() == tracks["track_id"][:3].tolist()


def test_the_lists_to_cite_are_those_that_the_command_makes(real_data, tmp_path):
    sturm = real_data / "sturm"
    shown = run(cited.main, "--index", sturm / "index.txt", "--lists", sturm, "--out", tmp_path)
    assert "443" in shown and "276" in shown
    for path in sorted(cited.OUT.glob("*.csv")):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert len(list(cited.OUT.glob("*.csv"))) == len(list(tmp_path.glob("*.csv"))) == 2


def test_recordings_are_joined_whatever_kind_of_copy_was_found():
    ids = list("abcdef")
    tracks = pd.DataFrame({"track_id": ids, "recording": ids})
    details = [("b", "same samples as a"), ("d", "same recording as c, 0.1 s apart")]
    details.append(("e", "same recording as a, 2.0 s apart, same recording as c, 0.0 s apart"))
    copies = pd.DataFrame(details, columns=["track_id", "detail"])
    assert tables.recordings_of(tracks, copies).tolist() == ["a", "a", "a", "a", "a", "f"]
