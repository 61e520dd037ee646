"""Write what follows from pyproject.toml: environment.yml, the set-up cells, README's badges.

README's list of plain commands follows from the Makefile in the same way, and its picture is the
stored figure of the lesson cell that carries the tag "picture".

python tools/sync.py            writes them
python tools/sync.py --check    only says which have drifted; exit code 1 if any has
"""

from __future__ import annotations

import base64
import json
import sys
import tomllib
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
PYTHON = "3.12"  # of the conda environment and Binder

ENVIRONMENT = """\
# Made from pyproject.toml by tools/sync.py: change it there. Binder uses this file, and so does
#     conda env create --file environment.yml
name: {name}
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python={python}
  - pip
  - pip:
      - -c constraints.txt
      - -e .[lab]
"""

SETUP_CELL = """\
try:
    import gtzan_helpers as gh
except ModuleNotFoundError:  # on Colab; at home and on Binder it is installed
    %pip install --quiet "gtzan-helpers @ git+{repository}"
    import gtzan_helpers as gh

gh.start_lesson()"""


def repository(root: Path = ROOT) -> str:
    """Return the address of the repository, from the one place where it is written."""
    content = (root / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(content)["project"]["urls"]["Repository"].rstrip("/")


def environment(root: Path = ROOT) -> str:
    """Return the text of environment.yml."""
    return ENVIRONMENT.format(name=repository(root).rsplit("/", 1)[1], python=PYTHON)


def setup_cell(root: Path = ROOT) -> str:
    """Return the first code cell of every lesson."""
    return SETUP_CELL.format(repository=repository(root))


def badges(root: Path = ROOT) -> str:
    """Return README's two badges, as Markdown: the lessons on Binder and on Colab."""
    owner_and_name = repository(root).removeprefix("https://github.com/")
    binder = f"https://mybinder.org/v2/gh/{owner_and_name}/main?urlpath=lab/tree/notebooks"
    colab = f"https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks"
    return (
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})\n"
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"({colab}/01_explore_the_data.ipynb)\n"
    )


def commands(root: Path = ROOT) -> str:
    """Return the commands behind `make course`, `test`, `lab` and `notebooks`, as Markdown."""
    clone = f"git clone {repository(root)}"
    lines = [clone, f"{'python3 tools/install.py':<60} # makes .venv"]
    for recipe in (root / "Makefile").read_text(encoding="utf-8").split("\n\n"):
        target, _, steps = recipe.partition("\n")
        name = target.partition(":")[0]
        if name in {"course", "test", "lab", "notebooks"}:
            plain = [step[step.index("$(RUN)") :] for step in steps.splitlines()]
            plain = [step.replace("$(RUN)", ".venv/bin/python") for step in plain]
            lines += [f"{plain[0]:<60} # make {name}", *plain[1:]]
    return "\n".join(["```", *lines, "```", ""])


def picture(root: Path = ROOT) -> tuple[bytes, str]:
    """Return README's picture and what it shows in words, from the lesson that stores it."""
    for path in sorted((root / "notebooks").glob("0*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if "picture" not in cell["metadata"].get("tags", []):
                continue
            for output in cell["outputs"]:
                if png := output.get("data", {}).get("image/png"):
                    alt = output["metadata"]["image/png"]["alt"]
                    return base64.b64decode("".join(png)), alt
    raise ValueError('no lesson stores a figure in a cell with the tag "picture": README shows one')


def readme(root: Path = ROOT) -> str:
    """Return README.md with badges, picture and plain commands between their markers."""
    text = (root / "README.md").read_text(encoding="utf-8")
    generated = {
        "badges": badges(root),
        "picture": f"![{picture(root)[1]}](docs/picture.png)\n",
        "commands": commands(root),
    }
    for name, content in generated.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if start not in text or end not in text:
            raise ValueError(f"README.md lacks the markers {start.strip()} and {end}")
        before, _, rest = text.partition(start)
        text = before + start + content + end + rest.partition(end)[2]
    return text


def lesson(path: Path, root: Path = ROOT) -> str:
    """Return the text of a notebook whose first code cell is the set-up cell."""
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    first = next((cell for cell in notebook["cells"] if cell["cell_type"] == "code"), None)
    if first is None or "setup" not in first["metadata"].get("tags", []):
        raise ValueError(f'{path.name}: the first code cell must carry the tag "setup"')
    if "".join(first["source"]) == setup_cell(root):
        return text
    first["source"] = setup_cell(root).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def wanted(root: Path = ROOT) -> dict[Path, bytes]:
    """Return every file that follows from another, with the content that it should have."""
    texts = {
        root / "environment.yml": environment(root),
        root / "README.md": readme(root),
        **{path: lesson(path, root) for path in sorted((root / "notebooks").rglob("0*.ipynb"))},
    }
    files = {path: text.encode("utf-8") for path, text in texts.items()}
    return files | {root / "docs" / "picture.png": picture(root)[0]}


def drifted(root: Path = ROOT) -> dict[Path, bytes]:
    """Return the files, with the content they should have, whose content is another one."""
    return {
        path: content
        for path, content in wanted(root).items()
        if not path.exists() or path.read_bytes() != content
    }


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a file has drifted.")
def main(check: bool) -> None:
    """Write what follows from pyproject.toml."""
    try:
        files = drifted()
    except ValueError as error:
        sys.exit(str(error))
    for path, content in files.items():
        if not check:
            path.write_bytes(content)
        click.echo(f"{path.relative_to(ROOT)} {'has drifted' if check else 'written'}")
    if check and files:
        sys.exit("Run `python tools/sync.py` to bring them in line.")


if __name__ == "__main__":
    main()
