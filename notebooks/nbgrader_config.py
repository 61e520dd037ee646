"""For nbgrader: what students find in the place of a solution. Copy it into your course."""

c = get_config()  # noqa: F821 - nbgrader defines it
c.ClearSolutions.code_stub = {"python": "# your code here"}
