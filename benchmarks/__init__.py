"""What the course claims, measured: one module a claim, each a command that prints a table.

`python -m benchmarks.leak --help`, in the course's folder. They are not installed with the package.
"""
