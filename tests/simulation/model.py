"""Several brokers race for the labels and the room of one interconnect: every interleaving, as small tuples.

Two operators meet at an interconnect; every broker wants a path over both. What may be held is decided by the
operators' own ledger (`operators.inventory`); what brokers and operators say to each other is the protocol of design
sections 2 and 3. One order's commit, confirm and undo in all detail is `tests/support/world/explorer.py`: orders of
different brokers meet in the ledger alone, which is what is explored here.

A broker picks any label of those it believes free, so whatever the real choice is, it is among these. Holds may expire
and unconfirmed segments may lapse at any moment. `losses` are answers lost while holding, `copies` requests that arrive
twice, the second time as late as can be, `crashes` brokers that die and, from the first order on, come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from operators.inventory.ledger import Claim, Inventory, LabelTaken

INTERFACES: Final = ("z", "a")  # of the first operator and of the second: where they meet
IDLE, ASKING, ORDERING, CONFIRMING, UNDOING, ACTIVE, FAILED = range(7)
OVER: Final = (ACTIVE, FAILED)
HELD, UP, IN_FORCE = "held", "up", "active"
GONE, TAKEN, LOST, OPEN = "gone", "taken", "lost", ""
CHOICES_MAX: Final = 2


class Size(NamedTuple):
    """How much there is of everything."""

    brokers: int
    labels: int
    room: int  # paths that fit
    rounds: int = 2
    losses: int = 0
    copies: int = 0
    crashes: int = 0


class Broker(NamedTuple):
    """Where one broker stands; `said` is what it knows of either operator, `free` what these told it is free."""

    phase: int = IDLE
    label: int = 0
    rounds: int = 0
    said: tuple[str, str] = (OPEN, OPEN)
    free: tuple[int, int] = (0, 0)


class Sold(NamedTuple):
    """What an operator keeps for a broker."""

    broker: int
    label: int
    state: str


class Message(NamedTuple):
    """A request of a broker to an operator, on its way."""

    broker: int
    operator: int
    what: str
    label: int = 0
    round: int = 0
    copy: bool = False


class Node(NamedTuple):
    """Everything."""

    brokers: tuple[Broker, ...]
    sold: tuple[tuple[Sold, ...], tuple[Sold, ...]]
    flying: tuple[Message, ...]
    losses: int
    copies: int
    crashes: int


class Rules(NamedTuple):
    """What may be bent, to see that it is noticed."""

    admits: bool = True  # operators ask their ledger
    swaps: bool = True  # a hold is swapped for another in one step
    waits_for_all: bool = True  # nothing is active before both are confirmed
    undoes_all: bool = True  # what failed on one side is undone on both
    lapses: bool = True  # what is not confirmed takes itself down
    expires: bool = True  # holds end by themselves
    once: bool = True  # a document has one effect


def first(size: Size) -> Node:
    """Nobody has asked for anything."""
    return Node((Broker(),) * size.brokers, ((), ()), (), size.losses, size.copies, size.crashes)


def following(node: Node, size: Size, rules: Rules) -> Iterator[Node]:
    """Every node that one step leads to."""
    for index, broker in enumerate(node.brokers):
        if broker.phase == IDLE:
            yield from _picked(node, size, index, broker, (1 << size.labels) - 1)
        if node.crashes and broker.phase not in (IDLE, *OVER):
            yield _crashed(node, index, broker)
    for message in set(node.flying):
        yield from _arrived(node, size, rules, message)
    for operator in (0, 1):
        for sold in node.sold[operator]:
            if (sold.state == HELD and rules.expires) or (sold.state == UP and rules.lapses):
                yield _kept(node, operator, sold, None)


def over(node: Node) -> bool:
    """Whether nothing happens any more."""
    quiet = all(broker.phase in OVER for broker in node.brokers) and not node.flying
    return quiet and all(sold.state == IN_FORCE for side in node.sold for sold in side)


def broken(node: Node, size: Size) -> str:
    """What is wrong with a node; nothing where all is well."""
    for side in node.sold:
        labels = [sold.label for sold in side]
        if len(labels) != len(set(labels)):
            return "a label is given twice"
        if len(side) > size.room:
            return "more is sold than there is"
    for index, broker in enumerate(node.brokers):
        mine = [next((sold for sold in side if sold.broker == index), None) for side in node.sold]
        if broker.phase == ACTIVE and [sold and sold.state for sold in mine] != [IN_FORCE, IN_FORCE]:
            return "active, and not on every operator"
        if broker.phase == ACTIVE and len({sold.label for sold in mine if sold}) != 1:
            return "active under two labels"
        if broker.phase == FAILED and over(node) and any(mine):
            return "nothing was bought, and something is left"
    return ""


# --- operators -----------------------------------------------------------------------------------------------


def _arrived(node: Node, size: Size, rules: Rules, asked: Message) -> Iterator[Node]:
    """The operator acts on a request, and the broker hears at once: a late answer is no more than a late next step."""
    rest = list(node.flying)
    rest.remove(asked)
    told, free, after = _answered(node._replace(flying=tuple(rest)), size, rules, asked)
    yield from _heard(after, size, rules, asked, (told, free))
    if node.losses and asked.what == "hold":
        yield from _heard(after._replace(losses=node.losses - 1), size, rules, asked, (LOST, 0))
    if node.copies and asked.what != "release":
        copied = after._replace(flying=tuple(sorted((*after.flying, asked._replace(copy=True)))))
        yield from _heard(copied._replace(copies=node.copies - 1), size, rules, asked, (told, free))


def _answered(node: Node, size: Size, rules: Rules, asked: Message) -> tuple[str, int, Node]:
    """What the operator says, which labels it says are free, and what is kept now."""
    mine = next((sold for sold in node.sold[asked.operator] if sold.broker == asked.broker), None)
    if asked.copy and asked.what == "hold" and rules.once:
        return LOST, 0, node  # the same document: the answer it had, and no second effect
    if asked.what == "hold":
        return _held(node, size, rules, asked, mine)
    state = mine.state if mine else GONE
    if mine and asked.what == "order":
        state = IN_FORCE if mine.state == IN_FORCE else UP
        return state, 0, _kept(node, asked.operator, mine, mine._replace(state=state))
    if mine and asked.what == "confirm" and mine.state == UP:
        return IN_FORCE, 0, _kept(node, asked.operator, mine, mine._replace(state=IN_FORCE))
    if mine and asked.what == "release":
        return GONE, 0, _kept(node, asked.operator, mine, None)
    return state, 0, node


def _held(node: Node, size: Size, rules: Rules, asked: Message, mine: Sold | None) -> tuple[str, int, Node]:
    others = [sold for sold in node.sold[asked.operator] if sold is not mine or not rules.swaps]
    free = _refused(size, asked.operator, tuple(sold.label for sold in others), asked.label)
    if free is not None and rules.admits:
        return TAKEN, free, node
    held = Sold(asked.broker, asked.label, HELD)
    return HELD, 0, _kept(node, asked.operator, mine if rules.swaps else None, held)


@cache
def _refused(size: Size, operator: int, taken: tuple[int, ...], label: int) -> int | None:
    """What the operator's own ledger says to one more label: the mask of those free where it refuses."""
    ledger = Inventory({INTERFACES[operator]: size.room}, {INTERFACES[operator]: (1 << size.labels) - 1})
    for number, one in enumerate(taken):
        ledger.restore(_claim(operator, one, str(number)))
    refused = ledger.admit(_claim(operator, label, "new"))
    if refused is None:
        return None
    return refused.free if isinstance(refused, LabelTaken) else 0


def _claim(operator: int, label: int, name: str) -> Claim:
    return Claim(id=name, links=(), ends=((INTERFACES[operator], label),), bandwidth_bps=1, start_s=0, end_s=1)


# --- brokers -------------------------------------------------------------------------------------------------


def _picked(node: Node, size: Size, index: int, broker: Broker, free: int) -> Iterator[Node]:
    """Ask both operators to hold one label of those believed free."""
    choices = [label for label in range(size.labels) if free >> label & 1]
    for label in (*choices[:CHOICES_MAX], *choices[CHOICES_MAX:][-1:]):
        asking = broker._replace(phase=ASKING, label=label, rounds=broker.rounds + 1, said=(OPEN, OPEN))
        yield _asked(node, index, asking, "hold", (0, 1))


def _heard(node: Node, size: Size, rules: Rules, asked: Message, answer: tuple[str, int]) -> Iterator[Node]:
    """What a broker makes of an answer; one that it no longer waits for changes nothing."""
    broker, (told, told_free) = node.brokers[asked.broker], answer
    waits = {"hold": ASKING, "order": ORDERING, "confirm": CONFIRMING, "release": UNDOING}[asked.what]
    if asked.copy or broker.phase != waits or asked.round != broker.rounds:
        yield node
        return
    said, free = list(broker.said), list(broker.free)
    said[asked.operator] = told
    free[asked.operator] = told_free if told == TAKEN else (1 << size.labels) - 1
    broker = broker._replace(said=(said[0], said[1]), free=(free[0], free[1]))
    node = _with(node, asked.broker, broker)
    if OPEN in said and (rules.waits_for_all or waits != CONFIRMING):
        yield node
    elif waits == ASKING:
        yield from _concluded(node, size, rules, asked.broker, broker)
    elif waits == UNDOING:
        yield _with(node, asked.broker, Broker(FAILED))
    elif GONE in said or HELD in said:
        yield _undone(node, rules, asked.broker, broker)
    elif waits == ORDERING:
        yield _asked(node, asked.broker, broker._replace(phase=CONFIRMING, said=(OPEN, OPEN)), "confirm", (0, 1))
    else:
        yield _with(node, asked.broker, Broker(ACTIVE))


def _concluded(node: Node, size: Size, rules: Rules, index: int, broker: Broker) -> Iterator[Node]:
    """Both operators answered for a label: order, ask the two again with another, or let go."""
    if broker.said == (HELD, HELD):
        yield _asked(node, index, broker._replace(phase=ORDERING, said=(OPEN, OPEN)), "order", (0, 1))
        return
    both = broker.free[0] & broker.free[1] & ~(1 << broker.label)
    if LOST in broker.said or broker.rounds >= size.rounds or not both:
        yield _undone(node, rules, index, broker)
        return
    yield from _picked(node, size, index, broker, both)


def _undone(node: Node, rules: Rules, index: int, broker: Broker) -> Node:
    sides = (0, 1) if rules.undoes_all else tuple(n for n in (0, 1) if broker.said[n] == GONE) or (0,)
    said = tuple(OPEN if side in sides else GONE for side in (0, 1))
    return _asked(node, index, broker._replace(phase=UNDOING, said=said), "release", sides)


def _crashed(node: Node, index: int, broker: Broker) -> Node:
    """What it was told is lost. Before the first order nothing was durable: its holds end by themselves. From then
    on it asks again, which has one effect."""
    node = node._replace(crashes=node.crashes - 1)
    if broker.phase == ASKING:
        return _with(node, index, Broker(FAILED))
    again = {ORDERING: "order", CONFIRMING: "confirm", UNDOING: "release"}[broker.phase]
    return _asked(node, index, broker._replace(said=(OPEN, OPEN)), again, (0, 1))


def _asked(node: Node, index: int, broker: Broker, what: str, sides: tuple[int, ...]) -> Node:
    for side in sides:
        node = _sent(node, Message(index, side, what, broker.label, round=broker.rounds))
    return _with(node, index, broker)


# --- parts ---------------------------------------------------------------------------------------------------


def _sent(node: Node, message: Message) -> Node:
    return node._replace(flying=tuple(sorted((*node.flying, message))))


def _with(node: Node, index: int, broker: Broker) -> Node:
    return node._replace(brokers=(*node.brokers[:index], broker, *node.brokers[index + 1 :]))


def _kept(node: Node, operator: int, before: Sold | None, after: Sold | None) -> Node:
    side = [sold for sold in node.sold[operator] if sold is not before]
    side += [after] if after else []
    sides = list(node.sold)
    sides[operator] = tuple(sorted(side))
    return node._replace(sold=(sides[0], sides[1]))
