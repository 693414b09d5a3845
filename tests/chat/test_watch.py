"""/watch and /unwatch: what is taken, what is said of it, what is refused."""

import pytest

from bot.store.records import Watch
from tests.chat.world import ADMIN, GROUP, NOW, FakeWorld, said, tick


def test_a_watch_is_taken_and_its_answer_says_what_it_means() -> None:
    world = FakeWorld()
    answer = world.say("/watch btc rate>0.0005 cooldown 30m")
    assert answer.watches == (
        Watch(ADMIN, None, 1, "BTCUSDT rate > 0.05% cooldown 30m", NOW, ADMIN),
    )
    assert said(answer).splitlines() == [
        "#1 BTCUSDT",
        "rate > 0.05%",
        "You are told when the funding rate is above 0.05%.",
        "· at most one alert in 30m",
        "0.0005 = 0.05 % per 8 h = 54.75 % APR",
        "",
        "❌ BTCUSDT not true now",
        "❌ rate > 0.05% (+0.0100 %)",
    ]
    assert [button.data for button in answer.replies[0].buttons[0]] == ["unwatch:1"]
    assert world.chats[ADMIN].next_watch == 2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("SOL rate < -0.1%", "-0.001 = -0.1 % per 4 h = -0.2 % per 8 h = -219 % APR"),
        ("SOL rate < -0.1%", "✅ SOLUSDT already true: the alert comes with the next row"),
        ("SOL rate < 0 for 30s", "✅ SOLUSDT already true; it must stay so for 30s"),
        ("BTC apr > 30%", "0.3 = 30 % APR = 0.0273973 % per 8 h"),
        ("BTC rate8h > 5bp", "0.0005 = 0.05 % per 8 h = 54.75 % APR"),
        ("BTC |basis| > 0.5%", "0.005 = 0.5 %"),
        ("BTC cap > 90%", "You are told when the use of the rate's cap or floor is above 90%."),
        ("BTC mark > 85k", "❌ mark > 85000 (100.10)"),
        ("BTC funding < 15m", "❌ funding < 15m (2h)"),
        ("BTC rate crosses 0", "❔ BTCUSDT not crossed yet"),
        ("BTC change(mark, 1h) < -3%", "❔ change(mark, 1h) < -3% (unknown)"),
        ("BTC rate > 1% until 7d once quiet resolved off", "· ends by itself after 7d"),
        ("BTC rate > 1% clear 0.5%", "· over only when: not (the funding rate is above 0.5%)"),
        ("BTC,ETH,SOL,币安人生 rate > 0", "4 symbols with rows, true now on 3: "),
        ("ALL rate8h < 0", "5 symbols with rows, true now on 1: SOLUSDT"),
        ("quarterly basis > 0", "1 symbols with rows, true now on 1: BTCUSDT_270326"),
        ("@majors basis > 0", "✅ ETHUSDT already true: the alert comes with the next row"),
        ("NEW rate > 1%", "No row of NEWUSDT has come yet."),
    ],
)
def test_the_answer_says(line: str, told: str) -> None:
    answer = FakeWorld().say(f"/watch {line}")
    assert len(answer.watches) == 1
    assert told in said(answer)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("btc rate>0.0005", "BTCUSDT rate > 0.05%"),
        ("btcusdt,ETH rate>0.0005", "BTCUSDT,ETHUSDT rate > 0.05%"),
        ("all,!btc,!*usdc rate>0.0005", "ALL,!BTCUSDT,!*USDC rate > 0.05%"),
        ("@majors,sol rate>0.0005", "@majors,SOLUSDT rate > 0.05%"),
        ("btcusdt_270326 basis>1%", "BTCUSDT_270326 basis > 1%"),
    ],
)
@pytest.mark.parametrize("catalog", [True, False])
def test_names_are_kept_whole(line: str, kept: str, catalog: bool) -> None:
    assert FakeWorld(catalog=catalog).say(f"/watch {line}").watches[0].line == kept


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("BTC raet > 1%", "at column 5; nothing was changed:\nBTC raet > 1%\n    ^\n"),
        ("BTC raet > 1%", "did you mean rate?"),
        ("BTC rate > 0.5", "0.5 = 50 %; write 0.5% or 50%"),
        ("BTC funding < 15", "a time needs a unit"),
        ("BTCUSD rate > 1%", "There is no symbol BTCUSD. Nearest: BTCUSDT"),
        ("ETH,LUNA rate > 1%", "at column 5; nothing was changed:\nETH,LUNA rate > 1%\n    ^"),
        ("LUNAUSDT rate > 1%", "LUNAUSDT is no longer traded (SETTLING).\nExample: "),
        ("luna rate > 1%", "LUNAUSDT is no longer traded (SETTLING)."),
        ("SOON rate > 1%", "SOONUSDT is listed and not traded yet (PENDING_TRADING)."),
        ("BTC", "expected a field first"),
        ("@minors rate > 1%", "did you mean @majors?"),
        ("!BTC rate > 1%", "only excludes"),
        ("<b>BTC</b> rate > 1%", "<b>BTC</b> rate > 1%"),
    ],
)
def test_a_mistake_is_shown_where_it_is_and_changes_nothing(line: str, told: str) -> None:
    world = FakeWorld()
    answer = world.say(f"/watch {line}")
    assert told in said(answer)
    assert "xample: " in said(answer)
    assert not answer.changes
    assert world.chats[ADMIN].next_watch == 1


@pytest.mark.parametrize("argument", ["LUNAUSDT", "luna"])
def test_why_says_that_a_contract_is_gone(argument: str) -> None:
    answer = FakeWorld().say(f"/why {argument}")
    assert said(answer) == "LUNAUSDT is no longer traded (SETTLING)."


def test_a_long_line_is_shown_around_its_mistake() -> None:
    line = "BTC " + " and ".join(["rate > 0.01%"] * 10) + " adn rate < 1%"
    shown = said(FakeWorld().say(f"/watch {line}")).splitlines()[1:3]
    assert len(shown[0]) == 34
    assert shown[0][shown[1].index("^") :].startswith("adn")


def test_the_caret_stands_right_behind_wide_signs() -> None:
    shown = said(FakeWorld().say("/watch 币安人生 raet > 1%")).splitlines()[1:3]
    assert shown == ["币安人生 raet > 1%", " " * 9 + "^"]


def test_without_a_catalog_a_name_is_taken_with_a_warning() -> None:
    answer = FakeWorld(catalog=False).say("/watch NOSUCH rate > 1%")
    assert answer.watches[0].line == "NOSUCHUSDT rate > 1%"
    assert "no name was checked" in said(answer)


def test_the_same_watch_is_not_taken_twice_but_in_another_topic() -> None:
    world = FakeWorld()
    world.say("/watch BTC rate > 0.05%", chat=GROUP)
    again = world.say("/watch btcusdt rate>5bp", chat=GROUP)
    assert "already: #1 BTCUSDT rate > 0.05%" in said(again)
    assert not again.changes
    elsewhere = world.say("/watch BTC rate > 0.05%", chat=GROUP, topic=42)
    assert (elsewhere.watches[0].number, elsewhere.watches[0].topic) == (2, 42)


def test_numbers_are_never_used_twice() -> None:
    world = FakeWorld()
    for number in (1, 2, 3):
        assert world.say("/watch BTC rate > 0.05%").watches[0].number == number
        assert world.say("/unwatch BTC").unwatched == ((ADMIN, number),)


LINES = ["BTCUSDT rate > 1%", "ETHUSDT,BTCUSDT rate > 1%", "ALL rate > 1%", "SOLUSDT rate > 1%",
         "BTCUSDT rate < -1%"]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "numbers"),
    [
        ("3", [3]), ("#3", [3]), ("BTC", [1, 5]), ("solusdt", [4]), ("all", [1, 2, 3, 4, 5]),
        ("ALL", [1, 2, 3, 4, 5]), ("ETH", []), ("9", []), ("XYZ", []), ("NEW", []), ("1 2", []),
    ],
)  # fmt: skip
def test_unwatch_removes_what_is_named(argument: str, numbers: list[int]) -> None:
    world = FakeWorld()
    for line in LINES:
        world.say(f"/watch {line}")
    answer = world.say(f"/unwatch {argument}")
    assert answer.unwatched == tuple((ADMIN, number) for number in numbers)
    for number in numbers:
        assert f"/watch {LINES[number - 1]}" in said(answer)
    assert answer.replies


def test_what_was_removed_can_be_typed_again() -> None:
    world = FakeWorld()
    world.say('/watch BTC,!ETH |basis| > 0.5% for 30s clear 0.4% note "a \\" b <i>"')
    before = world.held[ADMIN][0].line
    typed = said(world.say("/unwatch 1")).splitlines()[-1]
    world.say(typed)
    assert world.held[ADMIN][0].line == before


def test_undo_removes_the_watch_and_a_second_press_says_so() -> None:
    world = FakeWorld()
    undo = world.say("/watch BTC rate > 0.05%").replies[0].buttons[0][0].data
    answer = world.press(undo)
    assert answer.unwatched == ((ADMIN, 1),)
    assert answer.toast == "Watch #1 is removed."
    again = world.press(undo)
    assert (again.unwatched, again.toast) == ((), "This watch is gone already.")


def test_another_chats_watch_is_out_of_reach() -> None:
    world = FakeWorld()
    world.say("/watch BTC rate > 0.05%", chat=GROUP)
    assert world.press("unwatch:1").unwatched == ()
    assert world.say("/unwatch 1").unwatched == ()
    assert "#1" not in said(world.say("/list"))


def test_many_long_watches_are_removed_in_messages_that_fit() -> None:
    world = FakeWorld()
    world.engine.on_frame([tick("BTCUSDT", at=NOW + 1)])
    for number in range(8):
        condition = " and ".join([f"mark > {number + 1}00000000"] * 40)
        assert world.say(f"/watch BTC {condition}").watches
    answer = world.say("/unwatch all")
    assert len(answer.replies) > 1
    assert all(len(written.text) < 4096 + 2000 for written in answer.replies)
    assert said(answer).count("/watch BTCUSDT") == 8
