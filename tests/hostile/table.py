"""Threat, control, and the attack that it stops. `docs/THREAT_MODEL.md` says the same in words, and what remains."""

from __future__ import annotations

import itertools
import json
from contextlib import nullcontext
from typing import Any, Final

from msgspec import structs

from federation.tokens.access import verify_access
from federation.trust.certificates import Speaker, entity_of
from federation.trust.destinations import Destination
from federation.trust.egress import Target, _result
from federation.trust.jose import unverified
from federation.trust.keys import public_keys
from schemas.access import AccessToken, Confirmation
from schemas.entity import EntityStatement
from schemas.token import TYPES
from tests.hostile import agent, broker, buyer, daemons, forger, history, liar, operator, registry
from tests.hostile.control import Control, always, any_audience, instead, nothing

BOUNDLESS: Final = {typ: kind._replace(bytes_max=10**9) for typ, kind in TYPES.items()}


def binding_unread(verify_access: Any) -> Any:
    """Whoever shows a token counts as its holder."""

    def verify(token: str, keys: Any, *, bound: Any, **how: Any) -> Any:
        return verify_access(token, keys, bound=unverified(token, AccessToken).cnf, **how)

    return verify


def any_brokers_quote(quoted: Any) -> Any:
    """A quote counts for whoever names it."""

    def find(order: Any, caller: Any, held: Any) -> Any:
        return quoted(order, caller._replace(entity=held(order.quote_h).quote.aud), held)

    return find


def whatever_is_held(quoted: Any) -> Any:
    """The order is not compared with the quote that it names."""
    return lambda order, caller, held: held(order.quote_h)


def some_quote(quoted: Any) -> Any:
    """An order need not name the quote that is held: there is one like it."""

    def find(order: Any, caller: Any, held: Any) -> Any:
        return quoted(order, caller, lambda quote_h: held("h" * 43))

    return find


def keys_it_brings(root: Any) -> Any:
    """An anchor is believed by the keys in its own answer."""

    def verify(token: str, anchors: Any, now: int) -> Any:
        claimed = unverified(token, EntityStatement)
        return root(token, {claimed.iss: claimed.jwks}, now)

    return verify


def keys_of_its_own(configuration: Any) -> Any:
    """An entity is believed by the keys that it lists itself, not by those that its superior lists."""

    def verify(token: str, keys: Any, entity: str, now: int) -> Any:
        return configuration(token, public_keys(unverified(token, EntityStatement).jwks), entity, now)

    return verify


def any_typ(check_form: Any) -> Any:
    """A document is what its reader takes it for."""
    return lambda header, typ, members: check_form(header | {"typ": typ}, typ, members)


def no_alg(verify_jws: Any) -> Any:
    """An unsigned document counts where its header says so."""

    def verify(token: str, claims: Any, keys: Any, **how: Any) -> Any:
        return unverified(token, claims) if token.endswith(".") else verify_jws(token, claims, keys, **how)

    return verify


async def dialled_as_it_stands(self: Any, text: str) -> Target:
    """A gRPC target is whatever the metadata say."""
    return Target(text, text)


async def unjudged(self: Any, host: str, port: int = 0, family: int = 0) -> Any:
    """Addresses as the name server gives them."""
    return [_result(host, port, answer) for answer in await self._lookup(host, port)]


def any_authority(verify_leaf: Any) -> Any:
    """TLS has verified the chain to some member's authority; that is taken for the named one's."""
    return lambda certificate, issuers, now: Speaker(entity_of(certificate), now + 60)


def new_each_time(name: Any) -> Any:
    """No document is known again."""
    numbers = itertools.count()

    def find(self: Any, *args: Any) -> Any:
        return name(self, *args)._replace(jti=f"{next(numbers):022d}")

    return find


def whoever_it_is_for(access: Any) -> Any:
    """A token that is genuine and bound to the caller, whatever else it says."""

    def find(self: Any, shown: Any, caller: Any, claims: Any, now: int) -> Any:
        return verify_access(shown.token, self.keys, me=self.me, bound=Confirmation(x5t=caller.x5t), now=now)

    return find


def without_end(reserve: Any) -> Any:
    """The total of a mandate is not looked at."""

    async def enter(self: Any, budget: Any, wanted: Any, now: int) -> Any:
        return await reserve(self, budget._replace(total_micro=10**15), wanted, now)

    return enter


async def still_in_force(self: Any, entity: str, mandate_h: str) -> bool:
    """Nobody asks whether a mandate was revoked."""
    return False


def signs_anything(judge: Any) -> Any:
    """A witness signs whatever a log shows it."""
    return lambda request, log_key, last: request.checkpoint


def whoever_signed(witnesses_of: Any) -> Any:
    """Every signature of a member counts, the log's own too."""
    return lambda note, log, witness_keys: witnesses_of(note, "", witness_keys)


def without_number(one: Any) -> Any:
    """Whoever has some under way may have more."""
    return lambda self, caller: nullcontext()


def empty_where_unknown(real: Any) -> Any:
    """What nobody attests is taken for a finding of nothing."""
    return lambda names: frozenset(names or ())


def nowhere_where_unsaid(real: Any) -> Any:
    """No destination named is a path that ends in no country."""
    return lambda wanted, now: structs.replace(real(wanted, now), destinations=frozenset(wanted.destinations or ()))


CONTROLS: Final = (
    Control(
        "T1", "an anchor recognises auditors", "federation.trust.marks._recognises",
        always(True), liar.attests_itself,
    ),
    Control(
        "T1", "of whom nobody attests anything, nothing is bought", "federation.policy.predicate._ungrounded",
        lambda real: lambda *args: {}, liar.shows_no_mark_at_all, ("federation.policy.engine._doubtful",),
    ),
    Control(
        "T1", "sheets are held against attested sites", "federation.broker.market.sites.Sites.agree",
        always(True), liar.moves_a_site_in_its_sheet,
    ),
    Control(
        "T2", "unknown is absent, never empty", "federation.policy.facts._set",
        empty_where_unknown, liar.leaves_out_each_fact_in_turn,
    ),
    Control(
        "T2", "unsaid is absent, never empty (at an operator)", "operators.access.selling._sale",
        nowhere_where_unsaid, liar.names_no_destination_to_an_operator,
    ),
    Control(
        "T3", "a quote names one broker", "operators.access.admit._quoted",
        any_brokers_quote, broker.orders_on_a_quote_for_another_broker,
    ),
    Control(
        "T3", "a quote names its question", "federation.broker.peers.verify._same",
        nothing, broker.passes_an_old_quote_off_as_the_answer,
    ),
    Control(
        "T4", "authority only shrinks", "federation.tokens.agents.check_narrows",
        lambda real: lambda child, parent: child, agent.asks_for_more_than_its_mandate,
    ),
    Control(
        "T4", "what is asked lies within the token", "operators.access.admit.within",
        nothing, broker.asks_for_more_than_its_token_allows,
    ),
    Control(
        "T4", "the token is for this caller, buyer and mandate", "operators.access.admit.Admission._access",
        whoever_it_is_for, broker.orders_for_another_buyer_than_the_token_is_for,
    ),
    Control(
        "T4", "UNIs of others need their owner's grant", "operators.access.admit.check_endpoints",
        nothing, broker.connects_at_a_uni_that_is_not_its_buyers,
    ),
    Control(
        "T4", "a member shows documents", "operators.orders.quoting.check_plain",
        nothing, broker.leaves_its_documents_out,
    ),
    Control(
        "T4", "UNIs of others need their owner's grant (from plain buyers)", "operators.orders.letting.check_endpoints",
        nothing, broker.connects_without_documents_at_a_uni_of_another,
    ),
    Control(
        "T4", "of one buyer's agents each has its own", "federation.broker.orders.saga.state.Terms.of_agent",
        always(True), agent.looks_at_what_another_agent_ordered,
    ),
    Control(
        "T5", "a mandate can be taken back", "federation.broker.authority.door.Door._revoked",
        instead(still_in_force), daemons.orders_under_a_mandate_that_was_taken_back,
    ),
    Control(
        "T5", "an agent's token is bound to its key", "federation.tokens.access.verify_access",
        binding_unread, agent.shows_a_stolen_token_with_a_key_of_its_own,
    ),
    Control(
        "T5", "a proof is for one request", "federation.tokens.dpop.normal_url",
        always("anywhere"), agent.takes_a_stolen_proof_to_another_request,
    ),
    Control(
        "T5", "a write needs a nonce of now", "federation.tokens.dpop.Nonces.fresh",
        always(True), agent.has_proofs_made_beforehand,
    ),
    Control(
        "T5", "an operator's token is bound to the TLS leaf", "operators.access.admit.verify_access",
        binding_unread, broker.uses_a_token_over_another_certificate,
    ),
    Control(
        "T5", "an operator's token is bound to the TLS leaf (at a daemon)", "operators.access.admit.verify_access",
        binding_unread, daemons.shows_an_operator_a_token_over_another_certificate,
    ),
    Control(
        "T5", "an agent's token is bound to its key (at a broker)", "federation.tokens.access.verify_access",
        binding_unread, daemons.orders_at_a_broker_with_a_stolen_token,
    ),
    Control(
        "T6", "every order is set aside from the budget", "federation.broker.store.spends.SpendRows.reserve",
        without_end, agent.orders_a_hundred_times_at_once,
    ),
    Control(
        "T6", "a mandate names one broker", "federation.tokens.mandate.verify_jws",
        any_audience, agent.shows_one_mandate_to_two_brokers,
    ),
    Control(
        "T7", "a proof counts once", "federation.tokens.replay.Seen.add",
        always(True), agent.sends_a_request_twice,
    ),
    Control(
        "T7", "a proof counts once (at a broker)", "federation.tokens.replay.Seen.add",
        always(True), daemons.repeats_an_order_at_a_broker,
    ),
    Control(
        "T7", "a grant counts once", "federation.tokens.replay.Seen.add",
        always(True), broker.shows_a_delegation_twice,
    ),
    Control(
        "T7", "a document has one effect", "operators.access.gate.Gate.name",
        new_each_time, broker.sends_an_rfq_twice,
    ),
    Control(
        "T8", "an order says what was quoted", "operators.access.admit._quoted",
        whatever_is_held, broker.orders_at_another_price_than_quoted,
    ),
    Control(
        "T8", "an order names the quote that is held", "operators.access.admit._quoted",
        some_quote, broker.orders_on_a_quote_that_was_never_held,
    ),
    Control(
        "T8", "an order says what was quoted (at a daemon)", "operators.access.admit._quoted",
        whatever_is_held, daemons.orders_at_an_operator_at_another_price, ("operators.orders.placed._check_document",),
    ),
    Control(
        "T8", "an order names the quote whose hold it takes (at a daemon)", "operators.orders.placed._check_document",
        nothing, daemons.takes_a_hold_at_an_operator_with_another_quote,
    ),
    Control(
        "T9", "anchors have the keys of this node's configuration", "federation.trust.chain._root",
        keys_it_brings, registry.injects_a_stranger_below_an_anchor_of_its_own,
    ),
    Control(
        "T9", "an entity has the keys that its superior lists", "federation.trust.chain._configuration",
        keys_of_its_own, registry.alters_an_endpoint,
    ),
    Control(
        "T10", "only https to names is called", "federation.trust.egress.destination",
        always(Destination("http", "127.0.0.1", 80)), operator.publishes_an_address_inside,
    ),
    Control(
        "T10", "every address of a name is judged", "federation.trust.egress._Judging.resolve",
        instead(unjudged), operator.publishes_a_name_that_leads_inside,
    ),
    Control(
        "T10", "a gRPC target is name and port", "federation.trust.egress.Egress.target",
        instead(dialled_as_it_stands), operator.publishes_a_socket_for_grpc,
    ),
    Control(
        "T11", "the signature", "federation.trust.jose._verifies",
        always(True), forger.signs_with_a_key_of_its_own,
    ),
    Control(
        "T11", "one algorithm, whatever the header says", "federation.tokens.mandate.verify_jws",
        no_alg, forger.leaves_the_signature_out,
    ),
    Control(
        "T11", "typ is exact", "federation.trust.jose._check_form",
        any_typ, forger.passes_one_kind_of_document_off_as_another,
    ),
    Control(
        "T11", "no member stands twice", "federation.trust.jose._JSON",
        instead(json.JSONDecoder()), forger.says_two_things_at_once,
    ),
    Control(
        "T12", "an assertion is for one issuer", "federation.tokens.assertion.verify_jws",
        any_audience, broker.brings_an_assertion_that_was_made_for_another,
    ),
    Control(
        "T13", "a leaf speaks by its own entity's authority (HTTP)", "federation.trust.speakers.verify_leaf",
        any_authority, operator.speaks_in_another_members_name,
    ),
    Control(
        "T13", "a leaf speaks by its own entity's authority (gRPC)", "federation.trust.speakers.verify_leaf",
        any_authority, operator.speaks_in_another_members_name_on_the_mesh,
    ),
    Control(
        "T13", "a leaf speaks by its own entity's authority (at an operator)", "federation.trust.speakers.verify_leaf",
        any_authority, daemons.calls_an_operator_in_another_brokers_name,
    ),
    Control(
        "T14", "nothing counts at its end", "federation.trust.jose._check_times",
        nothing, forger.comes_a_second_too_late,
    ),
    Control(
        "T14", "nothing counts before its time", "federation.trust.jose._check_times",
        nothing, forger.comes_from_the_future,
    ),
    Control(
        "T14", "no kind outlives its cap", "federation.trust.jose._check_times",
        nothing, forger.lives_for_a_century,
    ),
    Control(
        "T14", "silence keeps nobody past the end", "federation.trust.resolve.Resolver._still_believed",
        lambda real: lambda self, search: self._believed.get(search.entity),
        registry.lives_on_after_its_superior_fell_silent,
    ),
    Control(
        "T15", "a key counts while the superior lists it", "federation.trust.chain._configuration",
        keys_of_its_own, registry.speaks_with_a_key_that_was_taken_back,
    ),
    Control(
        "T16", "a document has a size", "federation.trust.jose.TYPES",
        instead(BOUNDLESS), forger.sends_a_megabyte_of_metadata,
    ),
    Control(
        "T16", "a search reads so many documents", "federation.trust.resolve._Search.spend",
        nothing, registry.names_superiors_without_end,
    ),
    Control(
        "T16", "a list unpacks to so many bytes", "federation.trust.status.LIST_BYTES_MAX",
        instead(10**9), registry.sends_a_list_that_unpacks_to_32_megabytes,
    ),
    Control(
        "T16", "a caller has a rate", "federation.node.limits.Buckets.take",
        always(0), operator.calls_a_hundred_times_a_second,
    ),
    Control(
        "T16", "wrong keys are counted", "federation.node.limits.Buckets.look",
        always(0), buyer.guesses_keys_without_end,
    ),
    Control(
        "T16", "a caller has so many calls under way", "federation.node.rpc.CALLS_EACH_MAX",
        instead(10**9), operator.keeps_streams_until_none_are_left,
    ),
    Control(
        "T17", "no two trees of one size are signed", "federation.evidence.sqlite.judge",
        signs_anything, history.shows_two_histories,
    ),
    Control(
        "T17", "a tree that is signed continues the one before", "federation.evidence.witness.check_consistency",
        nothing, history.leaves_a_document_out,
    ),
    Control(
        "T17", "no tree shorter than the one before is signed", "federation.evidence.sqlite.judge",
        signs_anything, history.goes_back_to_a_shorter_history,
    ),
    Control(
        "T17", "a log is no witness of itself", "federation.evidence.checkpoint.witnesses_of",
        whoever_signed, history.is_a_witness_of_itself,
    ),
    Control(
        "T18", "nothing older than what was believed", "federation.trust.cache.Seen.check",
        nothing, registry.serves_an_older_configuration,
    ),
    Control(
        "T19", "a broker holds so much", "operators.orders.caps.HoldCaps.check",
        nothing, broker.keeps_an_interface_from_everybody,
    ),
    Control(
        "T19", "a buyer has so many quotes under way", "federation.node.limits.AtOnce.one",
        without_number, buyer.asks_for_a_hundred_quotes_at_once,
    ),
    Control(
        "oracle", "one sentence for every reason", "federation.node.audit.veil",
        lambda real: lambda problem, ref: problem, broker.tells_which_check_failed_by_the_answer,
    ),
)  # fmt: skip
