"""The base URL: what can be said of it before anything is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from ._finding import Finding, doubt, fine, wrong


def judge_address(base_url: str, *, in_clear: bool) -> Finding:
    """Judge a base URL as the client uses it, which ends with ``/v1``.

    Args:
        base_url: of the client.
        in_clear: True if the key would travel unencrypted to another machine.
    """
    parts = urlsplit(base_url)
    path = parts.path.removesuffix("/v1")
    root = f"{parts.scheme}://{parts.netloc}/v1"
    check = "base URL"
    if "/console/api" in path or path.endswith("/api"):
        told = f"{base_url} leads to the API of Dify's own pages, not that of apps"
        return wrong(check, told, f"use {root}")
    if "/v1" in path:
        told = f"{base_url} goes on behind /v1, which the client adds paths to itself"
        kept = path.partition("/v1")[0]
        return wrong(check, told, f"use {parts.scheme}://{parts.netloc}{kept}/v1")
    if in_clear:
        told = f"{base_url} is not encrypted: all on the way can read the key"
        return doubt(check, told, "have the server speak TLS, and use https://")
    return fine(check, base_url)
