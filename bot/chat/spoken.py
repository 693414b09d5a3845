"""Conditions and options as sentences, for people who do not read the rule language."""

from bot.locale import Translate, formats
from bot.rules.expression import And, Comparison, Condition, Crossing, Node, Not, Or, Term
from bot.rules.quantity import duration_text, quantity_text
from bot.rules.rule import Options


def condition_words(condition: Condition, _: Translate) -> str:
    """`the funding rate is above 0.05%`; plain text."""
    return _node_words(condition.root, _)


def _node_words(node: Node, _: Translate) -> str:
    if isinstance(node, Comparison):
        return _comparison_words(node, _)
    if isinstance(node, Crossing):
        return _crossing_words(node, _)
    if isinstance(node, Not):
        return _("not ({condition})").format(condition=_node_words(node.operand, _))
    joint = _(" and ") if isinstance(node, And) else _(" or ")
    return joint.join(
        f"({_node_words(one, _)})" if isinstance(one, And | Or) else _node_words(one, _)
        for one in node.operands
    )


def _comparison_words(node: Comparison, _: Translate) -> str:
    texts = {
        ">": _("{value} is above {quantity}"),
        ">=": _("{value} is at or above {quantity}"),
        "<": _("{value} is below {quantity}"),
        "<=": _("{value} is at or below {quantity}"),
    }
    quantity = quantity_text(node.term.kind, node.threshold.exact)
    return texts[node.operator].format(value=_term_words(node.term, _), quantity=quantity)


def _crossing_words(node: Crossing, _: Translate) -> str:
    texts = {
        "above": _("{value} rises above {quantity}"),
        "below": _("{value} falls below {quantity}"),
        "": _("{value} crosses {quantity}"),
    }
    quantity = quantity_text(node.term.kind, node.threshold.exact)
    return texts[node.direction].format(value=_term_words(node.term, _), quantity=quantity)


def _term_words(term: Term, _: Translate) -> str:
    texts = {
        "": "{field}",
        "abs": _("{field}, up or down,"),
        "change": _("the change of {field} in {window}"),
        "min": _("the lowest of {field} in {window}"),
        "max": _("the highest of {field} in {window}"),
        "avg": _("the mean of {field} over {window}"),
    }
    field = field_words(_)[term.field]
    return texts[term.function].format(field=field, window=duration_text(term.window))


def field_words(_: Translate) -> dict[str, str]:
    """Each field of the rule language in words."""
    return {
        "rate": _("the funding rate"),
        "rate8h": _("the funding rate per 8 h"),
        "apr": _("the funding per year (APR)"),
        "basis": _("the basis (mark over index)"),
        "mark": _("the mark price"),
        "index": _("the index price"),
        "settle": _("the estimated settle price"),
        "funding": _("the time to funding"),
        "interval": _("the funding interval"),
        "cap": _("the use of the rate's cap or floor"),
    }


def option_words(options: Options, zone: str, _: Translate) -> list[str]:
    """What a rule's options do, one an entry; plain text."""
    spans = (
        (options.hold, _("only once it has been true for {time}")),
        (options.keep, _("over only once it has been over for {time}")),
        (options.cooldown, _("at most one alert in {time}")),
        (options.repeat, _("a reminder every {time} while it lasts")),
        (options.lifetime or 0, _("ends by itself after {time}")),
    )
    words = [text.format(time=formats.duration(span)) for span, text in spans if span]
    if options.clear is not None:
        text = _("over only when: {condition}")
        words.insert(0, text.format(condition=condition_words(options.clear, _)))
    if options.until is not None:
        words.append(_("ends at {time}").format(time=formats.moment(options.until, zone)))
    flags = (
        (options.once, _("once only")),
        (options.quiet, _("without a sound")),
        (options.resolved is False, _("no message when it is over")),
    )
    return words + [text for flag, text in flags if flag]
