"""Connections to a Bot API server: the token is put into the address behind everybody's back."""

import ssl
from functools import lru_cache
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

PLACEHOLDER = "0:token"  # what all others see, log and repeat in the token's stead


class TokenTransport(httpx.AsyncHTTPTransport):
    """Puts the token into the address at the last moment."""

    def __init__(self, token: str, root: str, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        super().__init__(verify=_context(), limits=limits, proxy=_proxy_for(root))
        self._token = quote(token, safe=":").encode()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.replace(PLACEHOLDER.encode(), self._token, 1)
        addressed = httpx.Request(
            request.method,
            request.url.copy_with(raw_path=path),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await super().handle_async_request(addressed)


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    """Made once: reading the machine's certificates takes a while."""
    return httpx.create_ssl_context()


def _proxy_for(root: str) -> str | None:
    """The environment's proxy for this server; none for one on this machine.

    It may lack its scheme, as curl and others take it: then it is http.
    """
    address = urlsplit(root)
    host = address.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
