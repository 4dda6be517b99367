"""A JSON-RPC proxy that tells about each transaction before it goes to the node, and after."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

JSON = {"content-type": "application/json"}
# Called with the number of the transaction and "before" or "after" it reached the node.
Told = Callable[[int, str], None]


class CountingProxy:
    """Forwards requests to a node's URL; `close` ends it."""

    def __init__(self, target: str, told: Told):
        self.sent = 0
        lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                number = None
                if json.loads(body).get("method") == "eth_sendRawTransaction":
                    with lock:
                        proxy.sent += 1
                        number = proxy.sent
                    told(number, "before")
                answer = requests.post(
                    target, data=body, headers={"content-type": "application/json"}, timeout=60
                )
                if number is not None:
                    told(number, "after")
                with suppress(OSError):
                    self.send_response(answer.status_code)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(answer.content)))
                    self.end_headers()
                    self.wfile.write(answer.content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
