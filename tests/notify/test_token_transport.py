"""The way to Telegram's server leads through the environment's proxy, but not on this machine."""

import pytest

from bot.notify.token_transport import TokenTransport, _proxy_for

PUBLIC = "https://telegram.example"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("root", "environment", "proxy"),
    [
        (PUBLIC, {}, None),
        (PUBLIC, {"HTTPS_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        (PUBLIC, {"https_proxy": "proxy.example:3128"}, "http://proxy.example:3128"),
        (PUBLIC, {"ALL_PROXY": "socks5://proxy.example:1080"}, "socks5://proxy.example:1080"),
        (PUBLIC, {"HTTP_PROXY": "http://proxy.example:3128"}, None),
        (PUBLIC, {"HTTPS_PROXY": "proxy.example:1", "NO_PROXY": "telegram.example"}, None),
        ("http://127.0.0.1:8081", {"HTTP_PROXY": "http://proxy.example:3128"}, None),
        ("http://localhost:8081", {"ALL_PROXY": "http://proxy.example:3128"}, None),
    ],
)
def test_the_proxy_is_the_environments(
    root: str, environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _proxy_for(root) == proxy


def test_a_proxy_without_its_scheme_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    TokenTransport("1:secret", PUBLIC, 2)
