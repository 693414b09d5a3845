import io

from bot.notify.channel import Sent, Written
from bot.notify.console import Console


async def test_the_terminal_shows_text_without_markup_and_numbers_its_messages() -> None:
    out = io.StringIO()
    console = Console(out)
    assert await console.send(7, None, Written("<b>BTC</b> &lt;1\nline")) == Sent(1)
    assert await console.send(-5, 42, Written("x")) == Sent(2)
    assert await console.send(7, None, Written("y", edit_of=1)) == Sent(1)
    assert out.getvalue() == (
        "── chat 7\n  BTC <1\n  line\n\n── chat -5, topic 42\n  x\n\n── chat 7 (edited)\n  y\n\n"
    )
