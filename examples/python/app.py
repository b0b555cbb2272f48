"""A web app on Python's standard library."""

import os
import signal
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

VERSION = "1"


def app(environ, start_response):
    if environ["PATH_INFO"] not in ("/", "/healthz"):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not found\n"]
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    if environ["PATH_INFO"] == "/healthz":
        return [b"ok\n"]
    greeting = os.environ.get("GREETING", "Hello")
    python = ".".join(map(str, sys.version_info[:3]))
    return [f"{greeting} from Python {python} (version {VERSION})\n".encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = False  # requests in flight are answered before the end
    block_on_close = True


class Handler(WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]  # no reverse look-up


def main():
    port = int(os.environ.get("PORT", "8080"))
    with make_server("", port, app, Server, Handler) as server:
        # shutdown waits for serve_forever, so it cannot run in this thread
        stop = lambda *_: threading.Thread(target=server.shutdown).start()
        signal.signal(signal.SIGTERM, stop)
        print(f"listening on port {port}, version {VERSION}", flush=True)
        server.serve_forever()
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
