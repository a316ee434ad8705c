"""The article's prose as data, held against its sentences, which are known here by their hashes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.kb import (
    Bound,
    Contradiction,
    Gap,
    Statement,
    Variant,
    load_contradictions,
    load_gaps,
    load_prose,
    load_tables,
    prose_scenarios,
    statements_for,
)
from harness.prediction import Options, predict
from harness.topology.load import Library
from harness.words import Answer, Method, Role

TOPOLOGIES = Path(__file__).resolve().parents[2] / "topologies"

# KB301529, revision 2.2 of 25 January 2006: the sections of prose in its order, each sentence as
# the first 8 digits of the SHA-256 of its words in small letters, with the number of its statements
# about an outcome. The data file is not to be consulted when this is changed; the article is.
ARTICLE = {
    "Internet Connection Firewall (ICF)": "7ca3e828:1 00866de2:1",
    "Other Firewalls": """
        b999c6e8:1 c7614b47:1 7077ea4b:1 a2f59733:1 ffb8340c:1 5a1fbd6a:1 ba28f26f:1 216de7ba:1
        2e4bd909:1 e5602056:1 0c383cfd:1
    """,
    "UPnP-Compliant NAT": "347cbcbe:1 7154fe5f:1 6fa14ae0:1 5c99e5e5:1",
    "NAT": "f96a288b:1 b84c0ac9:2",
    "Proxy Server": "3ba94b63:1 6272c405:1 4c5abefb:0 f9721549:0 443fccbb:1",
}

# Words that a statement of each sentence cannot do without: (section, sentence) to a pattern.
KEY_WORDS = {
    ("Internet Connection Firewall (ICF)", 1): "ICF.*let through",
    ("Internet Connection Firewall (ICF)", 2): "ICF.*one of the two",
    ("Other Firewalls", 1): "firewall is set",
    ("Other Firewalls", 2): "Messenger.*dials out.*3389",
    ("Other Firewalls", 3): "usual firewall.*out.*in",
    ("Other Firewalls", 4): "one side.*Messenger",
    ("Other Firewalls", 5): "firewall on each side",
    ("Other Firewalls", 6): "firewalls.*Messenger",
    ("Other Firewalls", 7): "file.*e-mail.*expert who dials out",
    ("Other Firewalls", 8): "file.*e-mail.*novice.*3389",
    ("Other Firewalls", 9): "blocks that port.*open",
    ("Other Firewalls", 10): "novice behind a firewall.*seldom",
    ("Other Firewalls", 11): "open the novice's firewall.*Messenger",
    ("UPnP-Compliant NAT", 1): "NAT devices with UPnP",
    ("UPnP-Compliant NAT", 2): "Windows XP alone",
    ("UPnP-Compliant NAT", 3): "ask the NAT.*3389",
    ("UPnP-Compliant NAT", 4): "novice behind a NAT with UPnP",
    ("NAT", 1): "file.*e-mail.*NAT on the expert's side",
    ("NAT", 2): "Messenger.*NAT",
    ("Proxy Server", 1): "expert behind a proxy",
    ("Proxy Server", 2): "expert.*client software",
    ("Proxy Server", 5): "novice behind a proxy",
}

Place = tuple[str, int]

each_statement = pytest.mark.parametrize("statement", load_prose(), ids=lambda each: each.id)
each_contradiction = pytest.mark.parametrize(
    "contradiction", load_contradictions(), ids=lambda each: each.id
)
each_gap = pytest.mark.parametrize("gap", load_gaps(), ids=lambda each: each.id)


def outcome_sentences() -> Counter[Place]:
    """Return the article's sentences, with how many outcomes each states."""
    places: Counter[Place] = Counter()
    for section, sentences in ARTICLE.items():
        for number, sentence in enumerate(sentences.split(), start=1):
            places[section, number] = int(sentence.partition(":")[2])
    return +places


def is_from_the_article(sentence: str) -> bool:
    words = " ".join(re.findall(r"[a-z0-9]+", sentence.lower()))
    digits = hashlib.sha256(words.encode()).hexdigest()[:8]
    return any(digits in sentences for sentences in ARTICLE.values())


def table_expectations() -> dict[str, Answer]:
    """Return the scenarios of the tables, with what their claims say of them."""
    return {
        Bound(method=method, novice=claim.novice, expert=claim.expert, expected=claim.answer).id: (
            claim.answer
        )
        for table in load_tables()
        for claim in table.claims
        for method in claim.methods
        if claim.answer is not Answer.DEPENDS
    }


def parts() -> list[Statement | Gap]:
    """Return everything that is bound to scenarios."""
    return [*load_prose(), *load_gaps()]


def own_texts() -> list[str]:
    """Return every text that the data file has."""
    return [
        *(statement.statement for statement in load_prose()),
        *(gap.silent for gap in load_gaps()),
        *(bound.condition for part in parts() for bound in part.scenarios if bound.condition),
        *(text for each in load_contradictions() for text in (*each.says, each.reading)),
    ]


def test_every_outcome_sentence_has_its_statements_and_no_other_sentence_has_one() -> None:
    stated = Counter((each.section, each.sentence) for each in load_prose())
    assert stated == outcome_sentences()


def test_key_words_are_known_of_every_outcome_sentence() -> None:
    assert set(KEY_WORDS) == set(outcome_sentences())


@each_statement
def test_a_statement_is_about_what_its_sentence_is_about(statement: Statement) -> None:
    assert re.search(KEY_WORDS[statement.section, statement.sentence], statement.statement)


def test_statements_stand_in_the_articles_order() -> None:
    sections = list(ARTICLE)
    places = [(sections.index(each.section), each.sentence) for each in load_prose()]
    assert places == sorted(places)


@each_statement
def test_a_statement_says_where_in_the_article_it_stands(statement: Statement) -> None:
    assert statement.source == f"{statement.section}, sentence {statement.sentence}"


@pytest.mark.parametrize("text", own_texts())
def test_no_text_is_a_sentence_of_the_article(text: str) -> None:
    for sentence in (text, *re.split(r"(?<=[.:;])\s+", text)):
        assert not is_from_the_article(sentence)


def test_a_sentence_of_the_article_is_recognised() -> None:
    assert is_from_the_article(
        "Remote Assistance does not work if the Novice is behind a proxy server."
    )
    assert not is_from_the_article("Remote Assistance works.")


def test_ids_are_unique_among_all_that_the_article_says() -> None:
    ids = [part.id for part in parts()]
    ids += [each.id for each in load_contradictions()]
    ids += [claim.id for table in load_tables() for claim in table.claims]
    assert len(set(ids)) == len(ids)


def test_no_text_is_there_twice() -> None:
    texts = [each.statement for each in load_prose()]
    assert len(set(texts)) == len(texts)


@each_statement
def test_a_statement_has_no_scenario_twice(statement: Statement) -> None:
    ids = [bound.id for bound in statement.scenarios]
    assert ids
    assert len(set(ids)) == len(ids)


@each_statement
def test_a_definite_statement_expects_one_answer_everywhere(statement: Statement) -> None:
    if statement.answer is not Answer.DEPENDS:
        assert {bound.expected for bound in statement.scenarios} == {statement.answer}


@each_statement
def test_a_statement_that_depends_names_conditions_for_both_answers(statement: Statement) -> None:
    if statement.answer is not Answer.DEPENDS:
        return
    assert statement.hedge
    conditions = {(bound.condition, bound.expected) for bound in statement.scenarios}
    assert all(words for words, _ in conditions)
    assert len({words for words, _ in conditions}) == len(conditions) >= 2
    assert {expected for _, expected in conditions} == {Answer.YES, Answer.NO}


def test_no_scenario_is_expected_to_end_in_two_ways() -> None:
    expectations = table_expectations()
    for part in parts():
        for bound in part.scenarios:
            assert expectations.setdefault(bound.id, bound.expected) == bound.expected, bound.id


def test_every_device_has_a_definition() -> None:
    defined = {path.stem for path in (TOPOLOGIES / "devices").glob("*.toml")}
    named = {name for bound in prose_scenarios() for name in bound.novice + bound.expert}
    assert named <= defined


def test_the_model_of_devices_and_methods_expects_the_same() -> None:
    library = Library(TOPOLOGIES)
    for bound in prose_scenarios():
        topology = library.from_chains(bound.novice, bound.expert, bound.options.proxy_client)
        options = Options(expert_port=bound.options.expert_port)
        assert predict(topology, bound.method, options).answer is bound.expected, bound.id


@each_gap
def test_a_gap_is_in_a_section_that_the_article_has(gap: Gap) -> None:
    assert gap.section in {*ARTICLE, *(table.section for table in load_tables())}
    assert gap.scenarios
    assert all(bound.condition for bound in gap.scenarios)


@each_gap
def test_what_a_gap_tests_is_in_no_table_and_in_no_statement(gap: Gap) -> None:
    stated = {bound.id for statement in load_prose() for bound in statement.scenarios}
    stated |= set(table_expectations())
    assert not stated & {bound.id for bound in gap.scenarios}


def test_the_known_contradictions_and_gaps_are_all_there() -> None:
    pairs = {(each.prose, each.table) for each in load_contradictions()}
    assert pairs == {
        ("nat/messenger-both", "messenger/both/upnp-nat"),
        ("firewalls/messenger-outbound", "messenger/novice/nat"),
        ("upnp/only-xp", "file-email/novice/me-ics"),
        ("upnp/only-xp", "file-email/novice/upnp-nat"),
        ("upnp/port-mapped", "file-email/novice/upnp-nat"),
    }
    assert [gap.id for gap in load_gaps()] == [
        "icf-on-both-sides",
        "different-devices",
        "method-behind-a-proxy",
    ]


@each_contradiction
def test_a_contradiction_is_between_a_statement_and_a_cell(contradiction: Contradiction) -> None:
    assert contradiction.prose in {each.id for each in load_prose()}
    assert contradiction.table in {each.id for table in load_tables() for each in table.claims}
    assert all(contradiction.says)
    assert contradiction.reading.startswith("Both hold")
    assert contradiction.reading.count(". ") == 0


@each_contradiction
def test_a_contradictions_scenarios_are_all_run(contradiction: Contradiction) -> None:
    run = {bound.id for bound in prose_scenarios()} | set(table_expectations())
    assert len(contradiction.scenarios) >= 2
    assert set(contradiction.scenarios) <= run


def test_tables_and_prose_come_to_sixty_scenarios_or_more() -> None:
    ids = [bound.id for bound in prose_scenarios()]
    assert len(set(ids)) == len(ids)
    assert len(table_expectations()) == 36
    assert len(set(ids) | set(table_expectations())) >= 60


def test_a_scenario_finds_the_statements_that_it_tests() -> None:
    assert [each.id for each in statements_for("messenger/firewall+firewall")] == [
        "firewalls/messenger-both-sides",
        "firewalls/messenger-advised",
        "firewalls/messenger-instead",
    ]
    assert statements_for("messenger/direct+direct") == ()


@pytest.mark.parametrize(
    ("variant", "suffix"),
    [
        (Variant(), ""),
        (Variant(expert_port=3389), "@expert-port-3389"),
        (Variant(proxy_client=(Role.EXPERT,)), "@expert-proxy-client"),
        (Variant(proxy_client=(Role.NOVICE,)), "@novice-proxy-client"),
        (
            Variant(expert_port=3389, proxy_client=(Role.NOVICE, Role.EXPERT)),
            "@expert-port-3389,expert-proxy-client,novice-proxy-client",
        ),
    ],
)
def test_an_id_ends_with_what_departs_from_the_plain_scenario(
    variant: Variant, suffix: str
) -> None:
    bound = Bound(
        method=Method.MESSENGER,
        novice=("cgnat", "nat"),
        expert=(),
        expected=Answer.YES,
        options=variant,
    )
    assert bound.id == f"messenger/cgnat,nat+direct{suffix}"
    assert Variant.read(suffix).suffix == suffix


@pytest.mark.parametrize(
    "suffix",
    [
        "@",
        "expert-port-3389",
        "@expert-port-0",
        "@expert-port-03389",
        "@expert-port-70000",
        "@expert-port-3389,expert-port-3390",
        "@novice-proxy-client,expert-proxy-client",
        "@expert-proxy-client,",
        "@loud",
    ],
)
def test_an_option_that_is_not_written_so_is_refused(suffix: str) -> None:
    with pytest.raises(ValueError, match=r"option|less than or equal to 65535"):
        Variant.read(suffix)


def test_a_bound_scenario_expects_yes_or_no() -> None:
    with pytest.raises(ValidationError):
        Bound.model_validate(
            {"method": "file", "novice": (), "expert": (), "expected": Answer.DEPENDS}
        )
