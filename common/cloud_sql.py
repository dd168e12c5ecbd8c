"""Connections to Cloud SQL by Google's connector: private IP, IAM authentication, certificates renewed when needed."""

import asyncio
import socket
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from functools import cache
from typing import Any

from google.cloud.sql.connector import Connector, IPTypes

from common.config import Settings

SOCKET_TIMEOUT_S = 1.2


def connector(config: Settings, limits: dict[str, str], **others: Any) -> Callable[[float], Any]:
    """How to open a connection within so many seconds; `others` are for the `Connector` itself."""
    cloud, loop = of_this_process(**others)

    def connect(within_s: float) -> Any:
        opening = cloud.connect_async(
            str(config.instance_connection_name),
            "pg8000",
            ip_type=IPTypes.PRIVATE,
            enable_iam_auth=True,
            user=config.database_user,
            db=config.database_name,
            application_name="watchledger",
            startup_params=limits,
            ssl_context=False,  # the socket has TLS already
        )
        future = asyncio.run_coroutine_threadsafe(opening, loop)
        try:
            return future.result(within_s)
        finally:
            future.cancel()

    return connect


@cache
def of_this_process(**others: Any) -> tuple[Connector, AbstractEventLoop]:
    """The connector, and its event loop on a thread of its own.

    The connector opens its sockets without a timeout, all on that thread: a host that does not answer would hold it
    up, and so every request after. So sockets without a timeout of their own get one in this process.
    """
    socket.setdefaulttimeout(SOCKET_TIMEOUT_S)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return Connector(loop=loop, refresh_strategy="lazy", **others), loop
