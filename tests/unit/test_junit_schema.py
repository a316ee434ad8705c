"""The JUnit XML is what readers of JUnit XML accept.

The schema is written from what Jenkins' plugins, GitLab and Maven Surefire say that they read. Of
these only the xUnit plugin refuses the properties of a test case, which the other readers take.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import xmlschema
from card_runs import OF_EACH_KIND, card, check, gear, router
from factories import article, attempt, control, observed, results, scenario

from harness.judge.card import Outcome
from harness.judge.model import ScenarioResult
from harness.report.junit import write_junit

SCHEMA = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:simpleType name="seconds">
    <xs:restriction base="xs:string"><xs:pattern value="[0-9]+(\\.[0-9]{1,3})?"/></xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="instant">
    <xs:restriction base="xs:dateTime">
      <xs:pattern value="[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:complexType name="properties">
    <xs:sequence>
      <xs:element name="property" maxOccurs="unbounded">
        <xs:complexType>
          <xs:attribute name="name" use="required"/>
          <xs:attribute name="value" use="required"/>
        </xs:complexType>
      </xs:element>
    </xs:sequence>
  </xs:complexType>
  <xs:complexType name="ending" mixed="true">
    <xs:attribute name="type" use="required"/>
    <xs:attribute name="message" use="required"/>
  </xs:complexType>
  <xs:complexType name="case">
    <xs:sequence>
      <xs:element name="properties" type="properties" minOccurs="0"/>
      <xs:choice minOccurs="0">
        <xs:element name="failure" type="ending"/>
        <xs:element name="error" type="ending"/>
        <xs:element name="skipped">
          <xs:complexType><xs:attribute name="message" use="required"/></xs:complexType>
        </xs:element>
      </xs:choice>
      <xs:element name="system-out" type="xs:string" minOccurs="0"/>
    </xs:sequence>
    <xs:attribute name="name" use="required"/>
    <xs:attribute name="classname" use="required"/>
    <xs:attribute name="time" type="seconds" use="required"/>
  </xs:complexType>
  <xs:attributeGroup name="counts">
    <xs:attribute name="name" use="required"/>
    <xs:attribute name="tests" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="failures" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="errors" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="skipped" type="xs:nonNegativeInteger"/>
    <xs:attribute name="time" type="seconds" use="required"/>
  </xs:attributeGroup>
  <xs:element name="testsuites">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="testsuite" minOccurs="0" maxOccurs="unbounded">
          <xs:complexType>
            <xs:sequence>
              <xs:element name="properties" type="properties"/>
              <xs:element name="testcase" type="case" maxOccurs="unbounded"/>
            </xs:sequence>
            <xs:attributeGroup ref="counts"/>
            <xs:attribute name="timestamp" type="instant" use="required"/>
          </xs:complexType>
        </xs:element>
      </xs:sequence>
      <xs:attributeGroup ref="counts"/>
    </xs:complexType>
    <xs:unique name="one-case-a-name">
      <xs:selector xpath="testsuite/testcase"/>
      <xs:field xpath="@classname"/>
      <xs:field xpath="@name"/>
    </xs:unique>
  </xs:element>
</xs:schema>
"""

ODD = "<b>&]]>\x00\x1b[31m\x0b\ud800￾é"

RUNS = {
    "nothing": (),
    "all as documented": article(),
    "every verdict": (
        scenario("file", "nat", "direct", observed("yes")),
        scenario("file", "nat", "nat", observed("no"), controls=(control(passed=False),)),
        scenario("messenger", "nat", "nat", None),
        scenario("file", "nat,nat", "direct", observed("no"), seconds=0.1234567),
    ),
    "odd text": (scenario("file", "nat", "nat", observed("no", attempt(how=ODD)), bundle=ODD),),
}


@pytest.mark.parametrize("scenarios", RUNS.values(), ids=RUNS)
def test_the_file_is_valid(tmp_path: Path, scenarios: tuple[ScenarioResult, ...]) -> None:
    path = tmp_path / "junit.xml"
    write_junit(results(*scenarios), path, {each.id: f"drawn {ODD}" for each in scenarios})
    xmlschema.XMLSchema(SCHEMA).validate(path)


def test_the_file_of_a_run_against_routers_is_valid(tmp_path: Path) -> None:
    odd = check(ODD, Outcome.ERROR, title=ODD, source=ODD, detail=ODD, evidence=(ODD, ODD))
    skipped = check("odd", Outcome.NOT_OFFERED, detail=ODD)
    made = router(ODD, ODD, ODD)
    path = tmp_path / "junit.xml"
    cards = card(*OF_EACH_KIND), card(odd, skipped, of=made), card(name="empty")
    write_junit(gear(*cards, routers=(router(), made)), path)
    xmlschema.XMLSchema(SCHEMA).validate(path)


def test_the_schema_refuses_what_readers_refuse(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(results(*RUNS["every verdict"]), path)
    text = path.read_text(encoding="utf-8")
    for old, new in (('tests="', 'runs="'), ("T12:00:00", "T12:00:00+00:00"), ("error", "crash")):
        assert old in text
        with pytest.raises(xmlschema.XMLSchemaException):
            xmlschema.XMLSchema(SCHEMA).validate(text.replace(old, new))
