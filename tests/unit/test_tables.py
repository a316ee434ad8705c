"""The article's tables as data, held against a transcription made from the article itself."""

from __future__ import annotations

import hashlib
import re

import pytest

from harness.kb import Claim, Table, claim_for, load_tables
from harness.words import Answer, Method

# KB301529, revision 2.2 of 25 January 2006: both tables as they stand there, headings in full.
# The data file is not to be consulted when this is changed; the article is.
MESSENGER = """
|                   | Windows XP Internet Connection Sharing (ICS) \
                    | Windows Millennium Edition (Me) ICS \
                    | Non-Universal Plug and Play (UPnP) Network Address Translation (NAT) Device \
                    | UPnP NAT Device |
| Novice            | Yes | Yes | Yes | Yes |
| Expert            | Yes | Yes | Yes | Yes |
| Novice and Expert | Yes | Yes | No  | Yes |
"""
FILE_AND_EMAIL = """
|                   | Windows XP ICS | Windows Me ICS | Non-UPnP NAT Device | UPnP NAT Device |
| Novice            | Yes            | Yes            | No                  | Yes             |
| Expert            | Yes            | Yes            | Yes                 | Yes             |
| Novice and Expert | Yes            | Yes            | No                  | Yes             |
"""

# The first table spells out what the second shortens; the data has the short form of both.
SHORT = {
    "Windows XP Internet Connection Sharing (ICS)": "Windows XP ICS",
    "Windows Millennium Edition (Me) ICS": "Windows Me ICS",
    "Non-Universal Plug and Play (UPnP) Network Address Translation (NAT) Device": (
        "Non-UPnP NAT Device"
    ),
}
DEVICES = {
    "Windows XP ICS": "xp-ics",
    "Windows Me ICS": "me-ics",
    "Non-UPnP NAT Device": "nat",
    "UPnP NAT Device": "upnp-nat",
}

# The article's sentences, as the first 8 digits of the SHA-256 of their words in small letters:
# enough to recognise a copy without making one here.
SENTENCES = """
    be08cdfd fb708167 902f43fa acafd42b 7ca3e828 00866de2 b999c6e8 c7614b47 7077ea4b a2f59733
    ffb8340c 5a1fbd6a ba28f26f 216de7ba 2e4bd909 e5602056 0c383cfd 347cbcbe 7154fe5f 6fa14ae0
    5c99e5e5 df7f2fa0 f96a288b b84c0ac9 3ba94b63 6272c405 4c5abefb f9721549 443fccbb
"""

Cells = list[list[str]]


def cells(text: str) -> Cells:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.strip().splitlines()]


def as_in_the_article(table: Table) -> Cells:
    """Lay the data out as the article lays out its table."""
    answers = [
        [row, *(table.cell(row, column).answer.capitalize() for column in table.columns)]
        for row in table.rows
    ]
    return [["", *table.columns], *answers]


def all_claims() -> list[Claim]:
    return [claim for table in load_tables() for claim in table.claims]


def is_from_the_article(sentence: str) -> bool:
    words = " ".join(re.findall(r"[a-z0-9]+", sentence.lower()))
    return hashlib.sha256(words.encode()).hexdigest()[:8] in SENTENCES.split()


each_claim = pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id)


def test_the_messenger_table_is_the_articles() -> None:
    heading, *rows = cells(MESSENGER)
    transcription = [[SHORT.get(column, column) for column in heading], *rows]
    assert as_in_the_article(load_tables()[0]) == transcription


def test_the_file_and_email_table_is_the_articles() -> None:
    assert as_in_the_article(load_tables()[1]) == cells(FILE_AND_EMAIL)


def test_there_are_two_tables_under_the_articles_headings() -> None:
    assert [(table.name, table.section, table.methods) for table in load_tables()] == [
        ("table 1", "Windows Messenger", (Method.MESSENGER,)),
        (
            "table 2",
            "Save Invitation as a File and Send Invitation as an E-mail Methods",
            (Method.FILE, Method.EMAIL),
        ),
    ]


def test_every_cell_has_one_claim_and_no_claim_is_left_over() -> None:
    for table in load_tables():
        places = [(claim.row, claim.column) for claim in table.claims]
        assert sorted(places) == sorted((row, col) for row in table.rows for col in table.columns)


@each_claim
def test_a_claim_puts_its_columns_device_before_the_people_of_its_row(claim: Claim) -> None:
    device = (DEVICES[claim.column],)
    assert claim.novice == (device if "Novice" in claim.row else ())
    assert claim.expert == (device if "Expert" in claim.row else ())


@each_claim
def test_a_claim_says_where_in_the_article_it_stands(claim: Claim) -> None:
    table = next(table for table in load_tables() if claim in table.claims)
    assert (claim.section, claim.table, claim.methods) == (
        table.section,
        table.name,
        table.methods,
    )
    assert claim.row in table.rows
    assert claim.column in table.columns
    assert claim.source == (
        f"{claim.section}, {claim.table}, row {claim.row}, column {claim.column}"
    )


@each_claim
def test_a_statement_says_what_its_answer_says(claim: Claim) -> None:
    assert claim.statement.endswith(".")
    assert ("does not lead to a connection" in claim.statement) == (claim.answer is Answer.NO)


@each_claim
def test_a_statement_is_not_a_sentence_of_the_article(claim: Claim) -> None:
    for sentence in re.split(r"(?<=[.:;])\s+", claim.statement):
        assert not is_from_the_article(sentence)


def test_a_sentence_of_the_article_is_recognised() -> None:
    assert is_from_the_article(
        "Remote Assistance does not work if the Novice is behind a proxy server."
    )
    assert not is_from_the_article("Remote Assistance works.")


def test_ids_and_statements_are_unique() -> None:
    claims = all_claims()
    assert len({claim.id for claim in claims}) == len(claims) == 24
    methods_and_statements = {(claim.methods, claim.statement) for claim in claims}
    assert len(methods_and_statements) == len(claims)


def test_a_scenario_of_the_tables_finds_its_claim() -> None:
    claim = claim_for(Method.EMAIL, ("nat",), ())
    assert claim is not None
    assert (claim.row, claim.column, claim.answer) == ("Novice", "Non-UPnP NAT Device", Answer.NO)


@pytest.mark.parametrize(
    ("novice", "expert"),
    [((), ()), (("upnp-nat", "nat"), ()), (("nat",), ("upnp-nat",)), (("icf",), ())],
)
def test_a_scenario_outside_the_tables_has_no_claim(
    novice: tuple[str, ...], expert: tuple[str, ...]
) -> None:
    assert claim_for(Method.FILE, novice, expert) is None
