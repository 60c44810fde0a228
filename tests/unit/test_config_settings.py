"""Precedence, kinds of values, and messages of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.config.keys import DEPRECATED, KEYS
from registry.config.settings import BadSetting, conf_dir_of, load_settings
from registry.config.values import problem_with
from registry.names import Address
from tests.unit.test_config_files import site


def test_every_default_is_right_and_every_name_has_its_own_variable() -> None:
    for key in KEYS.values():
        if key.default:
            assert problem_with(key, key.default) == "", key.name
        assert key.sentence.endswith(".")
    assert len({key.environment_name for key in KEYS.values()}) == len(KEYS)
    assert set(DEPRECATED.values()) <= set(KEYS)
    assert KEYS["hbase.zookeeper.property.clientPort"].environment_name == "HBASE_ZOOKEEPER_PROPERTY_CLIENTPORT"


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    key = "hbase.client.retries.number"
    environ: dict[str, str] = {}
    assert load_settings({}, environ).origin(key) == "default"
    site(tmp_path, **{key: "1"})
    assert load_settings({}, environ, tmp_path).int_(key) == 1
    environ["HBASE_CLIENT_RETRIES_NUMBER"] = "2"
    settings = load_settings({}, environ, tmp_path)
    assert (settings.int_(key), settings.origin(key)) == (2, "environment HBASE_CLIENT_RETRIES_NUMBER")
    settings = load_settings({key: "3"}, environ, tmp_path, {key: "--set"})
    assert (settings.int_(key), settings.origin(key)) == (3, "--set")


@pytest.mark.parametrize(
    ("key", "text", "cure"),
    [
        ("hbase.rpc.timeout", "30s", "plain milliseconds"),
        ("hbase.rpc.timeout", "0", "from 1 to"),
        ("hbase.client.retries.number", "many", "write a number such as 15"),
        ("hbeacon.guard.timeout_ms", "1 fortnight", "ms, s, m, h or d"),
        ("hbeacon.guard.timeout_ms", "10", "from 100 to"),
        ("hbeacon.guard", "perhaps", "write on or off"),
        ("hbeacon.registry.handout", "some", "write one of auto, tier, cluster"),
        ("hbeacon.rpc.address", "16000", "the port is missing"),
        ("hbeacon.rpc.address", "::1:16000", "the port is missing"),
        ("hbeacon.registry.servers", "a:1,b:99999", "is not a port"),
        ("hbeacon.registry.servers", "a:0", "0 is not a port"),
        ("hbeacon.advertise.address", "0.0.0.0:16000", "wildcard"),
        ("zookeeper.znode.parent", "hbase", "absolute znode path"),
        ("zookeeper.znode.parent", "/hbase/", "absolute znode path"),
        ("hbase.ipc.max.request.size", "lots", "k, m or g"),
        ("hbase.zookeeper.property.clientPort", "70000", "from 1 to 65535"),
        ("hbase.hregion.keyvalue.timestamp.slop.millisecs", "1m", "plain milliseconds"),
        ("hbase.hregion.keyvalue.timestamp.slop.millisecs", "-1", "from 0 to 9223372036854775807"),
        ("hbase.hstore.time.to.purge.deletes", "-1", "from 0 to"),
        ("hbase.hregion.scan.loadColumnFamiliesOnDemand", "sometimes", "write on or off"),
        ("hbase.server.scanner.max.result.size", "0", "from 1 to 1073741824"),
        ("hbase.server.hashNonce.gracePeriod", "30m", "plain milliseconds"),
        ("hbase.regionserver.nonces.enabled", "maybe", "write on or off"),
        ("hbase.coprocessor.enabled", "all", "write on or off"),
        ("hbase.coprocessor.user.enabled", "none", "write on or off"),
    ],
)
def test_a_bad_value_is_one_line_with_key_value_origin_and_cure(key: str, text: str, cure: str) -> None:
    with pytest.raises(BadSetting) as caught:
        load_settings({key: text}, {}, None, {key: "--set"})
    line = str(caught.value)
    assert key in line
    assert repr(text) in line
    assert "--set" in line
    assert cure in line
    assert "\n" not in line


def test_kinds_of_values() -> None:
    settings = load_settings(
        {
            "hbeacon.guard.timeout_ms": "2s",
            "hbase.ipc.max.request.size": "64m",
            "hbeacon.http.address": "OFF",
            "hbeacon.rpc.address": "[::1]:0",
            "hbase.masters": "a, b:17000 ,[::1],a",
            "hbeacon.guard": "False",
            "hbase.client.retries.number": " 0x10 ",
            "hbase.rpc.timeout": "0x3E8",
            "hbeacon.registry.handout": "TIER",
        },
        {},
    )
    assert settings.ms("hbeacon.guard.timeout_ms") == 2000
    assert settings.bytes_("hbase.ipc.max.request.size") == 64 << 20
    assert settings.address("hbeacon.http.address") is None
    assert settings.address("hbeacon.rpc.address") == Address("::1", 0)
    assert settings.addresses("hbase.masters") == (Address("a", 16000), Address("b", 17000), Address("::1", 16000))
    assert settings.bool_("hbeacon.guard") is False
    assert settings.int_("hbase.client.retries.number") == 16
    assert settings.ms("hbase.rpc.timeout") == 1000, "HBase's own keys take what Java's getInt does"
    assert settings.choice("hbeacon.registry.handout") == "tier"


def test_unknown_keys_of_ours_are_warned_about_with_the_nearest_name() -> None:
    settings = load_settings({"hbeacon.registry.server": "a:1", "hbase.unknown": "1"}, {"HBEACON_GAURD": "off"})
    assert len(settings.warnings) == 2
    assert any("did you mean hbeacon.registry.servers?" in warning for warning in settings.warnings)
    assert any("did you mean HBEACON_GUARD?" in warning for warning in settings.warnings)


def test_a_deprecated_name_is_read_with_a_warning() -> None:
    settings = load_settings({"hbase.rpc.hedged.fanout": "5"}, {})
    assert settings.int_("hbase.client.master_registry.hedged.fanout") == 5
    assert "deprecated" in settings.warnings[0]


def test_a_kubernetes_service_link_is_no_setting() -> None:
    """A service called hbase-master puts HBASE_MASTER_PORT=tcp://... into every pod of its namespace."""
    environ = {
        "HBASE_MASTER_PORT": "tcp://10.0.0.1:16000",
        "HBEACON_PORT": "tcp://10.0.0.2:16000",
        "HBEACON_SERVICE_HOST": "10.0.0.2",
        "HBEACON_PORT_16000_TCP_ADDR": "10.0.0.2",
    }
    settings = load_settings({}, environ)
    assert settings.int_("hbase.master.port") == 16000
    assert settings.warnings == ()


def test_credentials_are_never_shown(tmp_path: Path) -> None:
    site(tmp_path, **{"hbeacon.zookeeper.auth": "digest:u:p", "hbase.some.password": "p"})
    settings = load_settings({}, {}, tmp_path)
    assert settings.str_("hbeacon.zookeeper.auth") == "digest:u:p"
    assert settings.shown("hbeacon.zookeeper.auth") == "******"
    assert settings.shown("hbase.some.password") == "******"


def test_conf_dir_must_be_there(tmp_path: Path) -> None:
    assert conf_dir_of({}, None) is None
    assert conf_dir_of({"HBASE_CONF_DIR": str(tmp_path)}, None) == tmp_path
    with pytest.raises(BadSetting, match="no such directory"):
        conf_dir_of({"HBASE_CONF_DIR": str(tmp_path / "none")}, None)
    assert "neither" in load_settings({}, {}, tmp_path).warnings[0]


def test_changed_keys() -> None:
    before, after = load_settings({"a": "1", "hbase.masters": "x:1"}, {}), load_settings({"a": "1"}, {})
    assert before.changed_keys(after) == {"hbase.masters"}
    assert load_settings({"hbase.rpc.timeout": "60000"}, {}).changed_keys(load_settings({}, {})) == frozenset()
