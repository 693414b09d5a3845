"""What one connection carries: requests, answers, and who keeps silent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.binance import Answer
from bot.market.subscriptions import (
    ASK_AGAIN_AFTER,
    SILENT_AFTER,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Request,
    Subscriptions,
)

ARRAY, SLOW_ARRAY = "!markPrice@arr@1s", "!markPrice@arr"


def names(text: str) -> tuple[str, ...]:
    """`a b@`: the streams of a each second, of b every third."""
    return tuple(
        f"{one[:-1]}@markPrice" if one.endswith("@") else f"{one}@markPrice@1s"
        for one in text.split()
    )


def carrying(text: str, limit: int = 9, giving: str = "") -> Subscriptions:
    carries = Subscriptions(names(text), limit, 0.0)
    for name in names(giving):
        carries.gave(name)
    return carries


@pytest.mark.parametrize(
    ("present", "plan", "limit", "fits"),
    [
        (names("a b"), names("b c"), 3, True),
        (names("a b"), names("b c"), 2, False),
        (names("a b c"), names("a"), 1, True),  # nothing to add
        (names("a b"), names("a@ b@"), 4, True),
        (names("a b"), names("a@ b@"), 3, False),
        (names("a"), (ARRAY,), 9, False),
        ((ARRAY,), names("a"), 9, False),
        ((ARRAY,), (SLOW_ARRAY,), 2, True),
        ((ARRAY,), (SLOW_ARRAY,), 1, False),
        ((ARRAY,), (ARRAY,), 0, True),
    ],
)
def test_a_plan_fits_when_the_exchange_keeps_within_the_limit(
    present: tuple[str, ...], plan: tuple[str, ...], limit: int, fits: bool
) -> None:
    assert Subscriptions(present, limit, 0.0).fits(plan) is fits


@pytest.mark.parametrize(
    ("present", "giving", "plan", "request_"),
    [
        ("a b", "", "a b", None),
        ("a", "", "a b c", Request(SUBSCRIBE, names("b c"))),
        ("a b", "a", "c", Request(SUBSCRIBE, names("c"))),  # first what is missing
        ("a b c", "a", "c", None),  # nothing wanted gives yet
        ("a b c", "a c", "c", Request(UNSUBSCRIBE, names("a b"))),
        ("a b a@ b@", "a b a@", "a@ b@", Request(UNSUBSCRIBE, names("a"))),  # b@ has to give first
        ("a b a@ b@", "a b a@ b@", "a@ b@", Request(UNSUBSCRIBE, names("a b"))),
    ],
)
def test_the_next_step_adds_first_and_leaves_only_what_is_replaced(
    present: str, giving: str, plan: str, request_: Request | None
) -> None:
    assert carrying(present, giving=giving).next_request(names(plan)) == request_


def test_a_request_carries_at_most_two_hundred_names() -> None:
    plan = names(" ".join(f"s{number}" for number in range(401)))
    carries, sizes = Subscriptions((), 500, 0.0), []
    while (request := carries.next_request(plan)) is not None:
        sizes.append(len(request.names))
        carries.sent(request, 0.0)
    assert sizes == [200, 200, 1]
    assert set(carries.names) == set(plan)


@given(
    st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True), min_size=1),
    st.integers(1, 8),
    st.data(),
)
def test_plans_that_fit_are_reached_and_the_limit_is_kept_in_between(
    plans: list[list[str]], limit: int, data: st.DataObject
) -> None:
    carries = Subscriptions(names(plans[0][0]), limit, 0.0)
    for some in plans:
        plan = names(" ".join(some))
        if not carries.fits(plan):
            continue
        for _ in range(20):
            request = carries.next_request(plan)
            if request is None:
                break
            carries.sent(request, 0.0)
            assert len(carries.names) <= limit
            carries.gave(data.draw(st.sampled_from(plan)))
        for name in plan:
            carries.gave(name)
        while (request := carries.next_request(plan)) is not None:
            carries.sent(request, 0.0)
        assert set(carries.names) == set(plan)


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (Answer(1), ""),
        (Answer(1, "no such stream"), "b c"),
        (Answer(None, "no such stream"), "b c"),  # the oldest request is meant
        (Answer(2, "no such stream"), "d"),
        (Answer(3, "what?"), ""),  # nobody asked that
    ],
)
def test_an_error_refuses_the_streams_of_its_request(answer: Answer, refused: str) -> None:
    carries = carrying("a")
    carries.sent(Request(SUBSCRIBE, names("b c")), 1.0)
    carries.sent(Request(SUBSCRIBE, names("d")), 1.0)
    assert carries.answered(answer, 2.0) == names(refused)
    assert carries.unanswered(3.0) == set(names(refused))
    assert carries.answered(answer, 2.0) in ((), names("d"))  # an answer counts once
    assert carries.next_request(names("a b c d")) is None


def test_a_refused_stream_is_asked_for_again_after_a_while() -> None:
    carries = carrying("a", giving="a")
    carries.sent(Request(SUBSCRIBE, names("b c")), 1.0)
    carries.answered(Answer(1, "no"), 2.0)
    assert not carries.forgive(2.0 + ASK_AGAIN_AFTER - 0.1)
    assert carries.forgive(2.0 + ASK_AGAIN_AFTER)
    again = carries.next_request(names("a b c"))
    assert again == Request(SUBSCRIBE, names("b c"))
    carries.sent(again, 40.0)
    assert not carries.forgive(500.0)  # once for each refusal
    assert carries.next_request(names("a b c")) is None


def test_what_was_left_meanwhile_is_not_refused() -> None:
    carries = carrying("a", giving="a")
    carries.sent(Request(SUBSCRIBE, names("b c")), 1.0)
    carries.sent(Request(UNSUBSCRIBE, names("b")), 1.0)
    assert carries.answered(Answer(1, "no"), 2.0) == names("c")
    assert carries.answered(Answer(2, "no"), 2.0) == ()


def test_a_stream_is_unanswered_after_fifteen_seconds_without_a_row() -> None:
    carries = Subscriptions(names("a b"), 9, 0.0)
    carries.opened(5.0)
    carries.gave(names("a")[0])
    carries.sent(Request(SUBSCRIBE, names("c d")), 7.0)
    assert carries.unanswered(5.0 + SILENT_AFTER - 0.1) == set()
    assert carries.unanswered(5.0 + SILENT_AFTER) == set(names("b"))
    carries.answered(Answer(1), 9.0)  # from the acknowledgement on a row may be expected
    assert carries.unanswered(9.0 + SILENT_AFTER - 0.1) == set(names("b"))
    carries.gave(names("c")[0])
    assert carries.unanswered(9.0 + SILENT_AFTER) == set(names("b d"))
    carries.sent(Request(UNSUBSCRIBE, names("b d")), 40.0)
    assert carries.unanswered(99.0) == set()


@pytest.mark.parametrize(
    ("stream", "new"),
    [
        (names("a")[0], "a"),
        (names("a@")[0], "a"),  # another speed of the same symbol stands for it
        (names("z")[0], ""),
        ("", ""),
    ],
)
def test_a_row_speaks_for_its_stream_once(stream: str, new: str) -> None:
    carries = carrying("a b")
    assert carries.gave(stream) == set(names(new))
    assert carries.gave(stream) == set()
    assert carries.giving == set(names(new))


def test_a_refused_stream_that_gives_rows_is_forgiven() -> None:
    carries = carrying("a")
    carries.sent(Request(SUBSCRIBE, names("b")), 1.0)
    carries.answered(Answer(1, "no"), 1.0)
    carries.gave(names("b")[0])
    assert carries.unanswered(2.0) == set()
