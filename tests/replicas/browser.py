"""The bot's browser in the world of the replicas: a wrapper of the real Chromium, so that no line of the bot knows."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from tests.replicas.site import PEOPLE_HOST, Served, Site

from usher.adapters.embedded.chromium import find_chromium


def replica_arguments(served: Served, sites: Iterable[Site]) -> list[str]:
    """Return the arguments by which a Chromium takes the replicas for the platforms.

    Every other name does not resolve, so no page can reach the outside. The loopback port counts as public, as a
    platform's own address does: the rules for pages that reach into the local network hold.
    """
    hosts = [PEOPLE_HOST, *(host for site in sites for host in site.hosts)]
    rules = [f"MAP {host} 127.0.0.1:{served.port}" for host in hosts]
    return [
        f"--host-resolver-rules={', '.join([*rules, 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1'])}",
        f"--ignore-certificate-errors-spki-list={served.certificate.key_sha256}",
        f"--ip-address-space-overrides=127.0.0.1:{served.port}=public",
    ]


def replica_browser(served: Served, sites: Iterable[Site], folder: Path) -> Path:
    """Write the wrapper to `folder` and return its path."""
    arguments = shlex.join(replica_arguments(served, sites))
    wrapper = folder / "replica-chromium"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(find_chromium().path))} "$@" {arguments}\n')
    wrapper.chmod(0o755)
    return wrapper
