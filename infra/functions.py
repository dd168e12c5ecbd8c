"""The functions of this repository, each loaded the way the cloud loads it."""

import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework
from flask import Flask

from common.http import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent.parent / "functions"


@dataclass(frozen=True)
class Function:
    endpoint: Endpoint
    app: Flask


def load_all() -> "Mapping[str, Function]":
    """Every function by its name; loaded once per process, whoever asks first."""
    with _loading:
        return _load_all()


_loading = threading.Lock()  # the framework loads each as the module `main`


@cache
def _load_all() -> "Mapping[str, Function]":
    return {source.parent.name: load(source) for source in sorted(FOLDER.glob("*/main.py"))}


def load(source: Path) -> Function:
    """A function from its `main.py`: its folder, its entry point and its endpoint have the same name."""
    name = source.parent.name
    app = functions_framework.create_app(name, str(source))  # type: ignore[no-untyped-call]
    return Function(getattr(sys.modules["main"], name).endpoint, app)


def find(method: str, raw_path: str) -> Function | None:
    """The function that the load balancer would choose: by path and method, or else by path."""
    answering = [f for f in load_all().values() if f.endpoint.pattern.fullmatch(raw_path)]
    return next((f for f in answering if method in f.endpoint.methods), answering[0] if answering else None)
