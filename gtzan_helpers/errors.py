"""The error that the course raises where something that came from outside is wrong."""


class CourseError(ValueError):
    """What is wrong with a file, a table or a request: its name, the reason, and the way out."""
