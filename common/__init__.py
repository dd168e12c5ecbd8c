"""What makes a function load sooner. It stands here because it has to come before anything else is imported.

Nearly all of what loading makes stays: looking through it for garbage again and again took a quarter of the time, and
requests leave little for the collector. A fifth of the rest went into what the libraries import, or look for, in vain.
"""

import gc
import os
import sys
from importlib import import_module
from threading import RLock
from types import ModuleType
from typing import Any

RARELY_USED = (
    "cryptography.x509",  # PyJWT's, for keys that are certificates
    "dateutil.relativedelta",  # the driver's, and the next, for dates that are not written as ISO 8601 has them
    "dateutil.tz",
    "scramp",  # the driver's, for a database's password
)


class Deferred(ModuleType):
    """Stands for a module that is imported once something of it is used."""

    def __getattr__(self, name: str) -> Any:
        with _importing:
            if sys.modules[self.__name__] is self:
                del sys.modules[self.__name__]
            return getattr(import_module(self.__name__), name)


_importing = RLock()


def defer(name: str) -> None:
    """Let a module be imported when it is used, unless it was imported before."""
    if name not in sys.modules:
        sys.modules[name] = Deferred(name)
        package, _, member = name.rpartition(".")
        if package:
            setattr(import_module(package), member, sys.modules[name])


gc.set_threshold(50_000)
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it asks every installed package whether it is one
for rarely_used in RARELY_USED:
    defer(rarely_used)
