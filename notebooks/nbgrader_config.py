"""For nbgrader: what students find in the place of a solution. Copy it into your course.

Typical mistakes stand in the notebooks of `solutions` for teachers; students do not get them.
"""

c = get_config()  # noqa: F821 - nbgrader defines it
c.ClearSolutions.code_stub = {"python": "# your code here"}
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_cell_tags = {"wrong-answer"}
c.GenerateAssignment.preprocessors.insert(0, "nbconvert.preprocessors.TagRemovePreprocessor")
