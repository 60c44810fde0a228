"""hbase-site.xml as Hadoop reads it, and what people are told where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.config.settings import BadSetting, Settings, load_settings

SITE = """<?xml version="1.0"?>
<?xml-stylesheet type="text/xsl" href="configuration.xsl"?>
<configuration>
{}
</configuration>
"""


def site(directory: Path, name: str = "hbase-site.xml", **properties: str) -> None:
    rows = "\n".join(
        f"<property><name>{key}</name><value>{value}</value></property>" for key, value in properties.items()
    )
    (directory / name).write_text(SITE.format(rows))


def load(directory: Path, environ: dict[str, str] | None = None, **flags: str) -> Settings:
    return load_settings(flags, {"HOME": "/home/x", "USER": "x"} | (environ or {}), directory)


def test_later_file_wins_and_origin_names_file_and_line(tmp_path: Path) -> None:
    site(tmp_path, "core-site.xml", **{"hbase.masters": "a:1", "hbase.rpc.timeout": "7000"})
    site(tmp_path, **{"hbase.masters": "b:2"})
    settings = load(tmp_path)
    assert settings.str_("hbase.masters") == "b:2"
    assert settings.origin("hbase.masters") == f"{tmp_path}/hbase-site.xml:4"
    assert settings.ms("hbase.rpc.timeout") == 7000
    assert settings.origin("hbase.rpc.timeout") == f"{tmp_path}/core-site.xml:5"


def test_final_is_obeyed_by_later_files_only(tmp_path: Path) -> None:
    final = "<property><name>hbase.masters</name><value>a:1</value><final>true</final></property>"
    (tmp_path / "core-site.xml").write_text(SITE.format(final))
    site(tmp_path, **{"hbase.masters": "b:2"})
    settings = load(tmp_path)
    assert settings.str_("hbase.masters") == "a:1"
    assert any("hbase.masters is final" in warning for warning in settings.warnings)
    assert load(tmp_path, {"HBASE_MASTERS": "c:3"}).str_("hbase.masters") == "c:3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${hbase.zookeeper.quorum}", "zk1"),
        ("${env.ZK}", "from-env"),
        ("${env.NONE:-fallback}", "fallback"),
        ("${env.EMPTY:-fallback}", "fallback"),
        ("${env.EMPTY-fallback}", ""),
        ("${env.NONE-a-b}", "a-b"),
        ("/tmp/${user.name}/${user.home}", "/tmp/x//home/x"),
        ("${java.io.tmpdir}", "/tmp"),
        ("${outer.${inner}}", "deep"),
        ("${not.bound} and ${hbase.zookeeper.quorum}", "${not.bound} and zk1"),
        ("$ {x} $", "$ {x} $"),
    ],
)
def test_variables(tmp_path: Path, text: str, expected: str) -> None:
    keys = {"hbase.zookeeper.quorum": "zk1", "inner": "one", "outer.one": "deep", "custom": text}
    site(tmp_path, **keys)
    assert load(tmp_path, {"ZK": "from-env", "EMPTY": ""}).str_("custom") == expected


def test_a_cycle_of_variables_is_one_line(tmp_path: Path) -> None:
    site(tmp_path, a="${b}", b="${a}")
    with pytest.raises(BadSetting, match=r"more than 20 variables") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unbound_variable_in_a_key_of_ours_names_the_variable(tmp_path: Path) -> None:
    site(tmp_path, **{"hbase.zookeeper.quorum": "${ZK_HOSTS}"})
    with pytest.raises(BadSetting, match=r"define ZK_HOSTS"):
        load(tmp_path)


def test_attributes_includes_and_fallbacks(tmp_path: Path) -> None:
    (tmp_path / "more.xml").write_text(SITE.format('<property name="x" value="from include" final="true"/>'))
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}">{}</xi:include>'
    fallback = '<xi:fallback><property name="y" value="fallback"/></xi:fallback>'
    (tmp_path / "hbase-site.xml").write_text(
        SITE.format(include.format("more.xml", "") + include.format("none.xml", fallback))
    )
    settings = load(tmp_path)
    assert (settings.str_("x"), settings.str_("y")) == ("from include", "fallback")
    (tmp_path / "more.xml").write_text(SITE.format(include.format("more.xml", "")))
    with pytest.raises(BadSetting, match="nested deeper"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<configuration>\n<property>\n</configuration>", r"hbase-site\.xml:3: not well-formed XML: mismatched tag"),
        ("<configuration><property><value>1</value></property></configuration>", r":1: a <property> without <name>"),
        ("<settings/>", r"<configuration> is expected"),
        ("", r"not well-formed XML: no element found"),
        ('<!DOCTYPE c [<!ENTITY a "b">]><configuration>&a;</configuration>', r"entities are not allowed"),
        ('<?xml version="1.0" encoding="klingon"?><configuration/>', r"hbase-site\.xml"),
    ],
)
def test_a_broken_file_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "hbase-site.xml").write_text(text)
    with pytest.raises(BadSetting, match=message) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_external_entities_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    doctype = f'<!DOCTYPE c [<!ENTITY s SYSTEM "file://{tmp_path}/secret">]>'
    (tmp_path / "hbase-site.xml").write_text(
        f"{doctype}<configuration><property><name>x</name><value>&s;</value></property></configuration>"
    )
    with pytest.raises(BadSetting):
        load(tmp_path)
