"""A plain client of the Bot API: what a server says, as it says it."""

from types import TracebackType
from typing import Any, Self

import httpx

from tests.doubles.telegram_values import Json


class Api:
    """Asks a server; `address` ends in the token."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = httpx.AsyncClient(trust_env=False, timeout=20)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.client.aclose()

    async def ask(self, method: str, **parameters: Any) -> Json:
        """The server's whole answer."""
        answer = await self.client.post(f"{self.address}/{method}", json=parameters)
        body: Json = answer.json()
        assert answer.status_code == (200 if body["ok"] else body["error_code"])
        return body

    async def result(self, method: str, **parameters: Any) -> Any:
        body = await self.ask(method, **parameters)
        assert body["ok"], body
        return body["result"]

    async def refusal(self, method: str, **parameters: Any) -> str:
        """The description of a refusal."""
        body = await self.ask(method, **parameters)
        assert not body["ok"], body
        description: str = body["description"]
        return description
