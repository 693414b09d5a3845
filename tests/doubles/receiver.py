"""Where the second channel leads in tests: an HTTP receiver of Apprise's json:// on loopback."""

import asyncio
import json

from tests.doubles.loopback_server import LoopbackServer, Reply


class Receiver(LoopbackServer):
    """Takes notifications; `texts` are their bodies in order."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.paths: list[str] = []
        self.replies: list[Reply] = []  # to the next ones, instead of taking them

    async def reply(self, verb: str, path: str, content_type: str, body: bytes) -> Reply:
        if self.replies:
            return self.replies.pop(0)
        self.texts.append(json.loads(body)["message"])
        self.paths.append(path)
        return Reply(200, b"{}")

    def address(self, path: str = "secret-path-of-the-tests") -> str:
        """For FALLBACK_URLS."""
        return f"json://{self.url.removeprefix('http://')}/{path}"

    async def heard(self, words: str, within: float = 15.0) -> str:
        """Waits for a text with these words; the newest of them."""
        async with asyncio.timeout(within):
            while not (found := [text for text in self.texts if words in text]):  # noqa: ASYNC110 - the program is another process
                await asyncio.sleep(0.02)
        return found[-1]
