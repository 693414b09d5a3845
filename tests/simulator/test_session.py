import json

import pytest

from bot.simulator.payloads import Payloads
from bot.simulator.prices import Market, Row
from bot.simulator.session import (
    MAX_STREAMS,
    Close,
    Reply,
    Route,
    Session,
    Stream,
    parse_route,
    parse_stream,
    stream_names,
)
from bot.simulator.universe import build_universe

AT = 1_795_363_200_000
UNIVERSE = build_universe(1, 40, AT)
NAMES = stream_names(UNIVERSE)
MARKET = Market(UNIVERSE, seed=1, started=AT)
TWO_STREAMS = ("btcusdt@markPrice", "ethusdt@markPrice")


def session(target: str = "/market/ws") -> Session:
    route = parse_route(target)
    assert route is not None
    return Session(route, NAMES)


def ask(client: Session, method: str, params: object = None, now: float = 0.0) -> Reply:
    return client.answer(json.dumps({"method": method, "params": params, "id": 1}), now)


def payloads(*symbols: str, third: bool = True) -> Payloads:
    def row(symbol: str) -> Row:
        return MARKET.row(symbol, AT)

    return Payloads(dict.fromkeys(symbols), row, third=third)


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/market/ws", Route(True, False, ())),
        ("/market/ws/", Route(True, False, ())),
        ("/market/ws/btcusdt@markPrice/ethusdt@markPrice", Route(True, False, TWO_STREAMS)),
        ("/market/ws/!markPrice@arr@1s", Route(True, False, ("!markPrice@arr@1s",))),
        ("/market/ws/%E5%B8%81usdt@markPrice", Route(True, False, ("币usdt@markPrice",))),
        ("/market/stream", Route(True, True, ())),
        (
            "/market/stream?streams=btcusdt@markPrice/ethusdt@markPrice",
            Route(True, True, TWO_STREAMS),
        ),
        (
            "/market/stream?streams=%E5%B8%81usdt%40markPrice",
            Route(True, True, ("币usdt@markPrice",)),
        ),
        ("/ws/btcusdt@markPrice", Route(False, False, ("btcusdt@markPrice",))),
        ("/stream?streams=btcusdt@markPrice", Route(False, True, ("btcusdt@markPrice",))),
        ("/public/ws", Route(False, False, ())),
        ("/private/ws?listenKey=1", Route(False, False, ())),
        ("/", None),
        ("/market", None),
        ("/market/other", None),
        ("/elsewhere/ws", None),
    ],
)
def test_a_target_names_a_route(target: str, route: Route | None) -> None:
    assert parse_route(target) == route


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("btcusdt@markPrice", Stream("BTCUSDT", every_second=False)),
        ("btcusdt@markPrice@1s", Stream("BTCUSDT", every_second=True)),
        ("人生k线usdt@markPrice@1s", Stream("人生K线USDT", every_second=True)),
        ("!markPrice@arr", Stream(None, every_second=False)),
        ("!markPrice@arr@1s", Stream(None, every_second=True)),
        ("BTCUSDT@markPrice", None),
        ("nonesuch@markPrice", None),
        ("btcusdt@markprice", None),
        ("btcusdt@aggTrade", None),
        ("!ticker@arr", None),
        ("btcusd_perp@markPrice", None),
        ("", None),
    ],
)
def test_a_name_is_a_stream_or_stays_silent(name: str, stream: Stream | None) -> None:
    assert parse_stream(name, NAMES) == stream


def test_subscribing_listing_and_unsubscribing_answer_as_the_venue_does() -> None:
    client = session()
    names = ["btcusdt@markPrice@1s", "BTCUSDT@markPrice", "币安人生usdt@markPrice"]

    assert ask(client, "SUBSCRIBE", names).text == '{"result":null,"id":1}'
    echoed = json.dumps(names, ensure_ascii=False, separators=(",", ":"))
    assert ask(client, "LIST_SUBSCRIPTIONS").text == f'{{"result":{echoed},"id":1}}'
    assert ask(client, "UNSUBSCRIBE", names[:2]).text == '{"result":null,"id":1}'
    assert list(client.streams) == names[2:]


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("{", 3, "Invalid JSON: "),
        ("[" * 100_000, 3, "Invalid JSON: "),
        ("[]", 2, "Invalid request: missing field"),
        ('{"id":1}', 2, "Invalid request: missing field"),
        ('{"method":"NOPE","id":1}', 2, "Invalid request: unknown variant `NOPE`"),
        ('{"method":"SUBSCRIBE","params":[]}', 2, "Invalid request: request ID must be"),
        ('{"method":"SUBSCRIBE","params":[],"id":-1}', 2, "Invalid request: request ID"),
        ('{"method":"SUBSCRIBE","params":[],"id":true}', 2, "Invalid request: request ID"),
        ('{"method":"SUBSCRIBE","params":[],"id":1.5}', 2, "Invalid request: request ID"),
        ('{"method":"SUBSCRIBE","params":[],"id":""}', 2, "Invalid request: request ID"),
        (f'{{"method":"SUBSCRIBE","id":"{"f" * 37}"}}', 2, "Invalid request: request ID"),
        ('{"method":"SUBSCRIBE","params":"x","id":1}', 2, "Invalid request: stream name"),
        ('{"method":"UNSUBSCRIBE","params":[1],"id":1}', 2, "Invalid request: stream name"),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "Invalid value type"),
        ('{"method":"SET_PROPERTY","params":["other",true],"id":1}', 0, "Unknown property"),
        ('{"method":"SET_PROPERTY","params":[1,true],"id":1}', 2, "Invalid request: property"),
        ('{"method":"GET_PROPERTY","params":["other"],"id":1}', 0, "Unknown property"),
    ],
)
def test_a_wrong_request_is_answered_with_an_error_and_the_link_stays(
    message: str, code: int, words: str
) -> None:
    reply = session().answer(message, 0.0)
    error = json.loads(reply.text)["error"]

    assert (error["code"], reply.close) == (code, None)
    assert error["msg"].startswith(words)


@pytest.mark.parametrize("number", ["0", "12345678901234567890", '"abc"', f'"{"f" * 36}"'])
def test_a_request_is_answered_with_its_own_id(number: str) -> None:
    reply = session().answer(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}', 0.0)
    assert reply.text == f'{{"result":[],"id":{number}}}'


def test_half_a_surrogate_pair_is_echoed_as_a_question_mark() -> None:
    client = session()
    client.answer('{"method":"SUBSCRIBE","params":["\\ud800@x"],"id":1}', 0.0)
    assert json.loads(ask(client, "LIST_SUBSCRIPTIONS").text)["result"] == ["?@x"]


def test_the_1025th_stream_costs_the_connection() -> None:
    client = session()
    ask(client, "SUBSCRIBE", [f"s{n}@markPrice" for n in range(MAX_STREAMS)])
    assert ask(client, "SUBSCRIBE", ["s0@markPrice"]).close is None

    reply = ask(client, "SUBSCRIBE", ["one@markPrice"])
    assert reply.text == '{"error":{"code":4,"msg":"Too many subscriptions"}}'
    assert reply.close == Close(1008, "Invalid request")


def test_fifteen_messages_at_once_are_answered_and_the_sixteenth_closes() -> None:
    client = session()
    replies = [ask(client, "LIST_SUBSCRIPTIONS", now=50.0) for _ in range(16)]

    assert all(reply.close is None for reply in replies[:15])
    assert replies[15].close == Close(1008, "Too many requests")
    assert client.busiest == 16


@pytest.mark.parametrize(("rate", "ends_well"), [(10, True), (12, False)])
def test_ten_messages_a_second_are_borne_for_long_and_more_are_not(
    rate: int, ends_well: bool
) -> None:
    client = session()
    replies = [ask(client, "LIST_SUBSCRIPTIONS", now=9 + n / rate) for n in range(rate * 20)]
    assert all(reply.close is None for reply in replies) == ends_well


@pytest.mark.parametrize(("target", "wrapped"), [("/market/ws", False), ("/market/stream", True)])
def test_payloads_are_wrapped_on_stream_routes_only_and_set_property_switches(
    target: str, wrapped: bool
) -> None:
    client = session(target)
    ask(client, "SUBSCRIBE", ["btcusdt@markPrice@1s"])

    def is_wrapped() -> bool:
        (frame,) = client.frames(payloads("BTCUSDT"))
        return "stream" in json.loads(frame)

    assert is_wrapped() == wrapped
    assert ask(client, "SET_PROPERTY", ["combined", not wrapped]).text == '{"result":null,"id":1}'
    assert is_wrapped() != wrapped
    answer = json.loads(ask(client, "GET_PROPERTY", ["combined"]).text)
    assert answer == {"result": not wrapped, "id": 1}


@pytest.mark.parametrize("name", ["btcusdt@markPrice", "!markPrice@arr"])
def test_three_second_streams_speak_on_every_third_push_only(name: str) -> None:
    client = session(f"/market/ws/{name}")
    assert list(client.frames(payloads("BTCUSDT", third=False))) == []
    assert len(list(client.frames(payloads("BTCUSDT", third=True)))) == 1


def test_an_array_holds_the_symbols_of_its_phase_in_their_order() -> None:
    client = session("/market/ws/!markPrice@arr@1s")
    (frame,) = client.frames(payloads("ETHUSDT", "BTCUSDT"))
    assert [row["s"] for row in json.loads(frame)] == ["ETHUSDT", "BTCUSDT"]
    assert list(client.frames(payloads())) == []


def test_a_symbol_of_another_phase_is_not_sent() -> None:
    client = session("/market/ws/xauusdt@markPrice@1s")
    assert list(client.frames(payloads("BTCUSDT"))) == []


def test_only_what_somebody_subscribed_to_is_built_and_that_once() -> None:
    built: list[str] = []

    def row(symbol: str) -> Row:
        built.append(symbol)
        return MARKET.row(symbol, AT)

    shared = Payloads(dict.fromkeys(UNIVERSE.listings), row, third=True)
    clients = [session("/market/stream?streams=btcusdt@markPrice") for _ in range(3)]
    assert all(len(list(client.frames(shared))) == 1 for client in clients)
    assert built == ["BTCUSDT"]


@pytest.mark.parametrize("target", ["/ws", "/stream", "/public/ws", "/private/stream"])
def test_other_routes_acknowledge_and_never_deliver(target: str) -> None:
    client = session(target)
    assert ask(client, "SUBSCRIBE", ["btcusdt@markPrice@1s"]).text == '{"result":null,"id":1}'
    assert list(client.frames(payloads("BTCUSDT"))) == []
