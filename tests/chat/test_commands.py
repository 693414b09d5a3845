"""Every command in both languages, and what it changes."""

from dataclasses import replace

import pytest

from bot.chat.access import Access, Reason
from bot.chat.registry import COMMANDS
from bot.chat.request import read_update
from bot.notify.channel import Written
from bot.notify.markup import units
from bot.store.records import ChatRow, OutboxKind
from tests.alerts.build import rule
from tests.chat.world import ADMIN, GROUP, GUEST, NOW, RATES, FakeWorld, message, said, tick
from tests.doubles.telegram_html import parse_html

OPEN = Access(frozenset({ADMIN}), is_open=True)
CLAIM = Access(claim_code="s3cret")

SAID = [  # text, in the English answer, in the Chinese one
    ("/start", "one message when something becomes true", "条件成立时发一条消息"),
    ("/help", "Watching", "监控"),
    ("/help watch", "the funding rate", "资金费率"),
    ("/id", "You: 7", "你：7"),
    ("/watch", "Say what to watch", "请说明监控什么"),
    ("/watch BTC rate > 0.05%", "rate > 0.05%", "rate > 0.05%"),
    ("/watch BTC raet > 1", "did you mean rate", "第 5 个字符处"),
    ("/unwatch", "/list shows the numbers", "/list 查看编号"),
    ("/unwatch 9", "no watch #9", "没有编号为 #9"),
    ("/unwatch all", "nothing to remove", "没有可取消"),
    ("/list", "Nothing is watched here", "还没有监控"),
    ("/why", "Say which symbol", "请指明合约"),
    ("/why BTC", "Nothing in this chat watches BTCUSDT", "没有监控 BTCUSDT"),
    ("/why BTCC", "Nearest: BTCUSDT", "相近的有：BTCUSDT"),
    ("/funding", "Say which symbol", "请指明合约"),
    ("/funding BTC", "+0.0100 % per 8 h = 10.9 % APR", "每 8 h +0.0100 % = 年化 10.9 %"),
    ("/top", "Highest", "最高"),
    ("/top x", "1 to 20", "1 到 20"),
    ("/mute", "Muted for 1h, until", "已静音 1h"),
    ("/mute 2x", "unknown unit 'x'", "无法识别这个时长"),
    ("/mute 31d", "1 minute to 30 days", "1 分钟到 30 天"),
    ("/unmute", "not muted", "没有静音"),
    ("/resume", "No rule is paused", "没有暂停的规则"),
    ("/resume hot", "No rule of this chat is called hot", "没有名为 hot 的规则"),
    ("/status", "Waiting to be sent: 4", "待发送：4"),
    ("/wacth BTC rate > 1%", "Did you mean /watch?", "你是不是要用 /watch？"),
    ("BTC rate > 0.05%", "/watch BTC rate > 0.05%", "/watch BTC rate > 0.05%"),
    ("rate > 0.05%", "begin with /watch", "以 /watch 开头"),
    ("hello", "I understand commands only", "我只认命令"),
]


@pytest.mark.parametrize(("text", "english", "chinese"), SAID)
def test_a_text_is_answered_in_the_users_language(text: str, english: str, chinese: str) -> None:
    assert english in said(FakeWorld().say(text))
    assert chinese in said(FakeWorld().say(text, language="zh-hans"))
    assert english in said(FakeWorld().say(text, language="fr"))


def test_every_command_is_in_the_table_above_or_sends_a_sample() -> None:
    told = {text.split()[0].removeprefix("/") for text, _, _ in SAID if text.startswith("/")}
    assert set(COMMANDS) - told == {"test"}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("text", [text for text, _, _ in SAID])
def test_every_answer_is_valid_html_of_one_message(text: str, language: str) -> None:
    for written in FakeWorld().say(text, language=language).replies:
        assert units(parse_html(written.text).text) <= 4096


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_command(name: str) -> None:
    assert f"/{name} " in said(FakeWorld().say("/help"))


def test_the_chats_language_outlasts_the_users() -> None:
    world = FakeWorld()
    world.say("/help", language="zh-hans")
    assert world.chats[ADMIN].language == "zh"
    assert "监控" in said(world.say("/help", language="en"))


# -- access ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [text for text, _, _ in SAID if text != "/id"] + ["/start nope"])
@pytest.mark.parametrize("chat", [GUEST, GROUP])
def test_a_stranger_hears_nothing_and_changes_nothing(text: str, chat: int) -> None:
    world = FakeWorld()
    answer = world.say(text, GUEST, chat=chat)
    assert (answer.replies, answer.toast, answer.chats, answer.changes) == ((), "", (), False)
    assert answer.reason in (Reason.STRANGER, None)


def test_a_stranger_hears_who_he_is() -> None:
    assert said(FakeWorld().say("/id", GUEST)) == "You: 8"
    in_topic = FakeWorld().say("/id", GUEST, chat=GROUP, topic=42)
    assert said(in_topic).splitlines() == ["You: 8", f"This chat: {GROUP}", "This topic: 42"]


def test_the_code_makes_an_admin_once() -> None:
    world = FakeWorld()
    world.admins = set()
    assert said(world.say("/start wrong", GUEST, CLAIM)) == ""
    answer = world.say("/start s3cret", GUEST, CLAIM)
    assert answer.claim == GUEST
    assert "You are the admin" in said(answer)
    assert "/watch" in said(world.say("/help", GUEST))
    assert world.say("/start s3cret", 9).claim is None


def test_the_code_is_not_taken_in_a_group() -> None:
    assert FakeWorld().say("/start s3cret", GUEST, CLAIM, chat=GROUP).claim is None


def test_everybody_may_watch_in_his_own_chat_where_access_is_open() -> None:
    world = FakeWorld()
    assert world.say("/watch BTC rate > 0.05%", GUEST, OPEN).watches[0].created_by == GUEST


def test_in_a_group_only_admins_change_anything() -> None:
    world = FakeWorld()
    refused = world.say("/watch BTC rate > 0.05%", GUEST, OPEN, chat=GROUP)
    assert "Only the admins" in said(refused)
    assert not refused.changes
    assert world.say("/watch BTC rate > 0.05%", ADMIN, OPEN, chat=GROUP).watches
    assert "BTCUSDT" in said(world.say("/list", GUEST, OPEN, chat=GROUP))


def test_a_quota_holds_for_guests_and_not_for_admins() -> None:
    world = FakeWorld()
    for number in range(50):
        assert world.say(f"/watch BTC mark > {number + 1}", GUEST, OPEN).watches
    assert "50 watches" in said(world.say("/watch BTC mark > 99", GUEST, OPEN))
    assert len(world.held[GUEST]) == 50
    for number in range(51):
        assert world.say(f"/watch BTC mark > {number + 1}", ADMIN, OPEN).watches


def test_a_guest_is_not_told_of_the_program_behind_the_data() -> None:
    world = FakeWorld()
    assert "rows arrive" in said(world.say("/status", GUEST, OPEN))
    assert "Waiting" not in said(world.say("/status", GUEST, OPEN))


@pytest.mark.parametrize(
    ("text", "chat", "answered"),
    [
        ("/list@other_bot", ADMIN, False),
        ("/list@funding_test_bot", ADMIN, True),
        ("/nothing", GROUP, False),
        ("/nothing@Funding_Test_Bot", GROUP, True),
        ("/list", GROUP, True),
        ("good morning", GROUP, False),
    ],
)
def test_what_is_meant_for_others_is_not_answered(text: str, chat: int, answered: bool) -> None:
    assert bool(FakeWorld().say(text, chat=chat).replies) is answered


# -- chats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["/help", "hello", "/help@other_bot"])
def test_a_disabled_chat_that_writes_is_enabled_again(text: str) -> None:
    world = FakeWorld()
    world.chats[GUEST] = ChatRow(GUEST, disabled="blocked by the user", muted_until=5)
    assert world.say(text, GUEST).chats[0] == ChatRow(GUEST, muted_until=5)


def test_a_chat_that_blocks_the_bot_is_disabled_and_enabled_when_it_comes_back() -> None:
    world = FakeWorld()
    world.say("/help")
    gone = {"chat": {"id": ADMIN, "type": "private"}, "new_chat_member": {"status": "kicked"}}
    assert world.act({"my_chat_member": gone}).chats[0].disabled == "blocked by the user"
    assert world.act({"my_chat_member": gone}).chats == ()
    back = gone | {"new_chat_member": {"status": "member"}}
    assert world.act({"my_chat_member": back}).chats[0].disabled == ""
    assert world.act({"my_chat_member": back}).chats == ()


def test_a_strangers_chat_leaves_no_row() -> None:
    world = FakeWorld()
    for text in ("/id", "hello", "/list"):
        assert world.say(text, GUEST).chats == () or text == "/id"
    assert world.press("why:BTCUSDT", GUEST).chats == ()


def test_a_group_that_became_a_supergroup_is_followed() -> None:
    moved = {"chat": {"id": -5, "type": "group", "title": "x"}, "migrate_to_chat_id": GROUP}
    assert FakeWorld().act({"message": moved}).moved_to == GROUP


# -- looking ---------------------------------------------------------------------------------


def test_list_shows_watches_and_file_rules_in_pages() -> None:
    world = FakeWorld()
    world.file_rules[ADMIN] = [rule("rate8h > 0.03%", name="<hot>", symbols="ALL")]
    for number in range(10):
        world.say(f"/watch BTC mark > {200 + number}")
    world.say("/watch SOL rate < -0.1%")
    world.engine.on_frame([tick(symbol, at=NOW + 1000) for symbol in RATES])
    first = world.say("/list").replies[0]
    assert [button.data for button in first.buttons[0]] == ["list:2"]
    assert "#10" in first.text
    assert "#11" not in first.text
    second = world.press("list:2").replies[0]
    assert second.edit_of == 99
    assert [button.data for button in second.buttons[0]] == ["list:1"]
    text = said(world.press("list:2"))
    assert "#11 SOLUSDT rate < -0.1%\n   🔴 firing: SOLUSDT" in text
    assert "file rule <hot>: ALL rate8h > 0.03%\n   🔴 firing: ETHUSDT" in text


@pytest.mark.parametrize("page", ["0", "99", "x", "", "-1", "9" * 50, "²"])
def test_a_page_that_is_not_there_is_the_nearest_one(page: str) -> None:
    world = FakeWorld()
    world.say("/watch BTC mark > 200")
    assert "#1 BTCUSDT" in said(world.press(f"list:{page}"))


def test_why_shows_each_part_the_state_and_what_is_waited_for() -> None:
    world = FakeWorld()
    world.say("/watch ETH rate > 0.05% and basis > 1% for 30s")
    world.say("/watch ETH rate > 0.05% for 30s")
    world.engine.on_frame([tick("ETHUSDT", at=NOW + 1000)])
    world.now += 6000
    text = said(world.say("/why eth"))
    assert "✅ rate > 0.05% (+0.0612 %)\n❌ basis > 1% (+0.1000 %)\noff\n→ waits" in text
    assert "true for 5s, not fired yet\n→ fires once it has been true for 30s" in text
    pressed = world.press("why:ETHUSDT")
    assert said(pressed) == text


def test_why_says_that_stale_data_decides_nothing() -> None:
    world = FakeWorld()
    world.say("/watch ETH rate > 0.05%")
    world.pass_time(60)
    text = said(world.say("/why ETH"))
    assert "❔ rate > 0.05% (unknown)" in text
    assert "no fresh row" in text
    assert "last row 1m ago" in text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("/funding SOL", ["Funding rate: -0.2500 % per 4 h = -0.5000 % per 8 h = -547.5 % APR",
                          "Cap use: 12.5 % of -2.0000 %", "Basis: +0.1000 %", "Mark: 100.10",
                          "Index: 100", "Funding in 2h, at 16:00 UTC"]),
        ("/funding BTCUSDT_270326", ["Funding rate: unknown", "It pays no funding."]),
        ("/funding 币安人生", ["币安人生USDT", "Cap use: 0.2 % of +2.0000 %"]),
        ("/funding NEWUSDT", ["No row of NEWUSDT has come yet."]),
    ],
)  # fmt: skip
def test_funding_says_what_is_known(text: str, lines: list[str]) -> None:
    told = said(FakeWorld().say(text)).splitlines()
    assert [line for line in lines if line not in told] == []


def test_funding_of_a_silent_symbol_is_what_its_last_row_said() -> None:
    world = FakeWorld()
    world.pass_time(600)
    text = said(world.say("/funding ETH"))
    assert "No fresh row for 10m" in text
    assert "Funding rate: +0.0612 %" in text
    assert "Funding in 1h 50m" in text


def test_top_fits_a_phone_and_is_sorted() -> None:
    text = said(FakeWorld().say("/top 2"))
    rows = text.splitlines()
    assert [row.split()[0] for row in rows[2:4]] == ["ETHUSDT", "BTCUSDT"]
    assert [row.split()[0] for row in rows[5:7]] == ["SOLUSDT", "1000PEPEUSDT"]
    wide = [row for row in rows[1:] if sum(1 + (ord(sign) > 0x2E80) for sign in row) > 34]
    assert wide == []


def test_more_is_looked_up_in_this_chat_alone() -> None:
    world = FakeWorld()
    world.rest[ADMIN, 5] = Written("the rest")
    assert said(world.press("more:5")) == "the rest"
    for answer in (world.press("more:5", chat=GROUP), world.press("more:6"), world.press("more:x")):
        assert (answer.replies, answer.toast) == (
            (), "This is too long ago; it is no longer kept."
        )  # fmt: skip


def test_test_sends_a_sample_alert() -> None:
    answer = FakeWorld().say("/test", language="zh")
    assert answer.sample is not None
    assert answer.sample.symbol == "BTCUSDT"
    assert answer.sample.value == pytest.approx(0.000612)
    assert answer.sample.note.startswith("这是测试")
    assert answer.replies == ()


def test_in_a_muted_chat_the_sample_would_not_come_and_that_is_said() -> None:
    world = FakeWorld()
    world.say("/mute")
    answer = world.say("/test")
    assert answer.sample is None
    assert "/unmute" in said(answer)


def test_an_answer_is_one_commit() -> None:
    world = FakeWorld()
    request = read_update({"update_id": 77, "message": message("/test", chat=GROUP, topic=42)})
    assert request is not None
    commit = world.decide(request).commit(request, NOW, {})
    assert commit.update_id == 77
    assert [(row.kind, row.chat_id, row.topic) for row in commit.outbox] == [
        (OutboxKind.ALERT, GROUP, 42)
    ]
    request = replace(request, text="/watch BTC rate > 1%")
    answer = world.decide(request)
    commit = answer.commit(request, NOW, {})
    assert (commit.watches, commit.chats) == (answer.watches, answer.chats)
    assert [row.kind for row in commit.outbox] == [OutboxKind.REPLY]


# -- mute ------------------------------------------------------------------------------------


def test_mute_and_unmute() -> None:
    world = FakeWorld()
    world.say("/watch SOL rate < 0")
    world.engine.on_frame([tick("SOLUSDT", at=NOW + 1000)])
    answer = world.say("/mute 1h30m")
    assert world.chats[ADMIN].muted_until == NOW + 5_400_000
    assert answer.replies[0].buttons[0][0].data == "unmute"
    assert "muted until" in said(world.say("/watch BTC mark > 5"))
    answer = world.press("unmute")
    assert world.chats[ADMIN].muted_until == 0
    assert "Still on:\n🔴 #1: SOLUSDT" in said(answer)
    assert world.press("unmute").toast == "This chat is not muted."


@pytest.mark.parametrize(
    ("data", "seconds"),
    [("mute:3600", 3600), ("mute:60", 60), ("mute:0", 0), ("mute:x", 0), ("mute:", 0),
     ("mute:99999999999", 0), ("mute:-5", 0)],
)  # fmt: skip
def test_a_mute_button_mutes_for_its_seconds(data: str, seconds: int) -> None:
    world = FakeWorld()
    answer = world.press(data)
    assert world.chats[ADMIN].muted_until == (NOW + seconds * 1000 if seconds else 0)
    assert answer.toast


@pytest.mark.parametrize("data", ["mute:3600", "unmute", "unwatch:1"])
@pytest.mark.parametrize("access", [None, OPEN])
def test_a_non_admins_press_of_a_button_that_changes_does_nothing_and_says_so(
    data: str, access: Access | None
) -> None:
    world = FakeWorld()
    world.say("/watch BTC mark > 5", ADMIN, access, chat=GROUP)
    world.say("/mute", ADMIN, access, chat=GROUP)
    answer = world.press(data, GUEST, access, chat=GROUP)
    assert answer.toast == "Only the admins of this bot change anything here."
    assert (answer.replies, answer.chats, answer.changes) == ((), (), False)


@pytest.mark.parametrize("data", ["", "what:5", "unwatch", "unwatch:", "unwatch:7", "why:"])
def test_a_button_that_means_nothing_does_nothing_and_says_so(data: str) -> None:
    answer = FakeWorld().press(data)
    assert answer.toast or answer.replies
    assert not answer.changes
