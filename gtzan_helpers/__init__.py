"""Helpers of the course on music genre classification: `import gtzan_helpers as gh`.

Names are loaded when they are first used, so that the import itself is quick and Keras is
imported only by what needs it. The list of public names is in `__init__.pyi`.
"""

import os

import lazy_loader

# Here, and not in the room that needs it, because a lesson may import Keras before that room.
os.environ.setdefault("KERAS_BACKEND", "jax")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
