"""The floor of the stack: a function that does nothing, under the same server."""

from flask import Request


def hello(request: Request) -> str:
    return "Hello, world"
