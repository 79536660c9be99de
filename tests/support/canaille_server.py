"""A real OpenID Connect server for tests: Canaille with its people in memory, run as a process of its own.

Prints its address when it answers. Ends when its standard input does.
"""

import logging
import os
import socket
import sys
import threading

import canaille
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

PASSWORD = "correct horse battery"
PEOPLE = {"maria": ["operations"], "paul": [], "nora": ["operations", "bosses"], "dora": []}


def serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    app = canaille.create_app(
        {
            "SECRET_KEY": "for tests only, for tests only, for tests only",
            "SERVER_NAME": address,
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False},
            "CANAILLE_OIDC": {
                "ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)],
                "DYNAMIC_CLIENT_REGISTRATION_OPEN": True,
                # Otherwise everything on this machine is trusted, and nobody is asked for consent.
                "TRUSTED_DOMAINS": [],
            },
        }
    )
    with app.app_context():
        groups: dict[str, list[object]] = {}
        for name, belongs_to in PEOPLE.items():
            person = models.User(  # pyright: ignore[reportOptionalCall] - made at run time
                user_name=name,
                formatted_name=name.title(),
                family_name=name.title(),
                emails=[f"{name}@example.org"],
                password=PASSWORD,
            )
            Backend.instance.save(person)
            for group in belongs_to:
                groups.setdefault(group, []).append(person)
        for group, members in groups.items():
            Backend.instance.save(
                models.Group(display_name=group, members=members)  # pyright: ignore[reportOptionalCall] - as above
            )
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True, fd=listener.fileno())
    threading.Thread(target=_end_with_input, daemon=True).start()
    print(f"http://{address}", flush=True)  # noqa: T201 - what whoever started this waits for
    server.serve_forever()


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve()
