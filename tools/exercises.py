"""The exercises: written with their solutions, handed to students without them.

`notebooks/solutions` holds what is written: task, typical mistakes, solution and check. From it
follow the students' notebooks in `notebooks/exercises`, and the pages of the site, where the
solutions are folded. Only the solutions are edited; `tools/course.py store` writes the rest.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

MISTAKE = "wrong-answer"  # the tag of a cell with a typical mistake
MARKS = ("### BEGIN SOLUTION", "### END SOLUTION")
FOLD = "<details>\n<summary>What you should see</summary>\n\n{}\n\n</details>"
ON_THE_SITE = (
    "*To work on them, open the notebook with the rocket above, or `notebooks/exercises` at home. "
    "Here each task stands with what it should show, its solution folded.*"
)
NBGRADER_CONFIG = Path(__file__).resolve().parents[1] / "notebooks" / "nbgrader_config.py"


def is_solution(cell: NotebookNode) -> bool:
    """Whether students write in this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_check(cell: NotebookNode) -> bool:
    """Whether this cell says right or gives a hint."""
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def is_mistake(cell: NotebookNode) -> bool:
    """Whether this cell holds a typical wrong answer."""
    return MISTAKE in cell.metadata.get("tags", [])


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook in which nbgrader has put its stub in the place of each solution."""
    os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")  # else importing nbgrader warns
    from nbgrader.preprocessors import ClearSolutions
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader(str(NBGRADER_CONFIG)).load_config()
    return ClearSolutions(config=config).preprocess(copy.deepcopy(notebook), {})[0]


def for_students(solutions: NotebookNode) -> NotebookNode:
    """Return the students' notebook: tasks, expected outputs, stubs and checks.

    Parameters
    ----------
    solutions : NotebookNode
        Executed: the output of each solution becomes the expected output.

    Returns
    -------
    NotebookNode
        No outputs are stored in it.
    """
    notebook = without_solutions(solutions)
    cells = []
    for cell, solved in zip(notebook.cells, solutions.cells, strict=True):
        if is_mistake(cell):
            continue
        if is_solution(cell):
            cells.append(expected_output(solved))
        if is_check(cell):  # folded, in JupyterLab and in Colab: its hints are for later
            cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cells.append(cell)
    notebook.cells = cells
    return notebook


def expected_output(solved: NotebookNode) -> NotebookNode:
    """Return a folded text cell that shows what a solution prints and draws."""
    from nbformat.v4 import new_markdown_cell

    parts, pictures = [], {}
    for output in solved.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            name = f"expected-{len(pictures) + 1}.png"
            pictures[name] = {"image/png": data["image/png"]}
            parts.append(f"![{output.metadata['image/png']['alt']}](attachment:{name})")
        else:
            text = output.get("text") or data["text/plain"]
            parts.append(f"```\n{text.rstrip()}\n```")
    cell = new_markdown_cell(FOLD.format("\n\n".join(parts)), id=f"{solved.id}-expected")
    if pictures:
        cell.attachments = pictures
    return cell


def for_site(solutions: NotebookNode) -> NotebookNode:
    """Return the page of the site: each solution folded above what it shows, no mistakes."""
    from nbformat.v4 import new_markdown_cell

    notebook = copy.deepcopy(solutions)
    notebook.cells = [cell for cell in notebook.cells if not is_mistake(cell)]
    notebook.cells.insert(1, new_markdown_cell(ON_THE_SITE, id="on-the-site"))
    for cell in notebook.cells:
        if is_solution(cell):
            lines = [line for line in cell.source.splitlines() if line.strip() not in MARKS]
            cell.source = "\n".join(lines)
            cell.metadata["tags"] = ["hide-input"]
        elif is_check(cell):
            cell.metadata["tags"] = ["remove-cell"]
    return notebook
