"""What every engine has to keep, whoever wrote it: a new engine subclasses `StoreContract` in its own test file, gives
the fixture `store` there, and adds nothing to pass."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from regionserver.engine.store import Batch, Durability, Store, StoreError

Content = dict[bytes, bytes]


def commit(store: Store, batch: Batch, durability: Durability = Durability.PROCESS) -> None:
    ends: list[StoreError | None] = []
    store.commit(batch, durability, ends.append)
    assert ends == [None]


def put(store: Store, **values: str) -> None:
    batch = Batch()
    for key, value in values.items():
        batch.put(key.encode(), value.encode())
    commit(store, batch)


def everything(view: Store | object, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
    return list(view.scan(b"", b"\xff" * 9, reverse=reverse))  # type: ignore[attr-defined]


class StoreContract:
    """Subclass it; give a fixture `store`: without one, each of these is an error."""

    def test_what_is_put_is_got(self, store: Store):
        put(store, a="1", b="2")
        assert store.get(b"a") == b"1"
        assert store.get(b"b") == b"2"
        assert store.get(b"c") is None

    def test_an_empty_value_is_a_value(self, store: Store):
        put(store, a="")
        assert store.get(b"a") == b""
        assert everything(store) == [(b"a", b"")]

    def test_a_batch_in_its_order(self, store: Store):
        batch = Batch()
        batch.put(b"a", b"1")
        batch.delete(b"a")
        batch.put(b"b", b"1")
        batch.put(b"b", b"2")
        batch.delete(b"nowhere")
        commit(store, batch)
        assert everything(store) == [(b"b", b"2")]

    def test_ranges_are_cleared_before_the_changes_of_their_batch(self, store: Store):
        put(store, a="1", b="2", c="3", d="4")
        batch = Batch()
        batch.put(b"b", b"new")
        batch.clear(b"b", b"d")
        commit(store, batch)
        assert everything(store) == [(b"a", b"1"), (b"b", b"new"), (b"d", b"4")]

    def test_an_empty_range_clears_nothing(self, store: Store):
        put(store, a="1")
        batch = Batch()
        batch.clear(b"b", b"a")
        batch.clear(b"a", b"a")
        assert not batch
        commit(store, batch)
        assert everything(store) == [(b"a", b"1")]

    def test_order_is_that_of_bytes(self, store: Store):
        keys = [b"", b"\x00", b"\x00\x00", b"\x00\x01", b"\x01", b"a", b"a\x00", b"a\xff", b"b", b"\xfe\xff", b"\xff"]
        batch = Batch()
        for key in random.Random(7).sample(keys, len(keys)):
            batch.put(key, key)
        commit(store, batch)
        assert [key for key, _ in everything(store)] == keys
        assert [key for key, _ in everything(store, reverse=True)] == keys[::-1]

    def test_the_ends_of_a_range_need_not_be_kept(self, store: Store):
        """An engine in another language may keep no more than an address of them."""
        batch = Batch()
        for number in range(2000):
            batch.put(b"life%08d" % number, b"%d" % number)
        commit(store, batch)
        for _ in range(50):
            found = store.scan(bytes(bytearray(b"life%08d" % 0)), bytes(bytearray(b"life%08d" % 99_999_999)))
            others = [b"life%08d" % number for number in range(300)]
            assert sum(1 for _ in found) == 2000
            assert others

    @pytest.mark.parametrize("reverse", [False, True])
    def test_ends_of_a_range(self, store: Store, reverse: bool):
        put(store, a="1", b="2", c="3", d="4")
        ranges = {
            (b"b", b"d"): b"bc",
            (b"a", b"a"): b"",
            (b"d", b"a"): b"",
            (b"aa", b"cc"): b"bc",
            (b"d", b"z"): b"d",
            (b"", b"a"): b"",
            (b"x", b"z"): b"",
        }
        for (lower, upper), keys in ranges.items():
            found = b"".join(key for key, _ in store.scan(lower, upper, reverse=reverse))
            assert found == (keys[::-1] if reverse else keys), (lower, upper)

    @pytest.mark.parametrize("reverse", [False, True])
    def test_a_scan_is_one_moment(self, store: Store, reverse: bool):
        put(store, a="1", b="2", c="3", d="4")
        scan = store.scan(b"a", b"z", reverse=reverse)
        first = next(scan)
        batch = Batch()
        batch.delete(b"b")
        batch.put(b"bb", b"new")
        batch.put(b"c", b"changed")
        commit(store, batch)
        found = dict([first, *scan])
        assert found == {b"a": b"1", b"b": b"2", b"c": b"3", b"d": b"4"}
        assert store.get(b"b") is None
        assert store.get(b"c") == b"changed"

    def test_a_snapshot_stays(self, store: Store):
        put(store, a="1", b="2")
        snapshot = store.snapshot()
        batch = Batch()
        batch.clear(b"a", b"z")
        batch.put(b"c", b"3")
        commit(store, batch)
        put(store, a="later")
        assert everything(snapshot) == [(b"a", b"1"), (b"b", b"2")]
        assert everything(snapshot, reverse=True) == [(b"b", b"2"), (b"a", b"1")]
        assert snapshot.get(b"b") == b"2"
        assert snapshot.get(b"c") is None
        assert everything(store) == [(b"a", b"later"), (b"c", b"3")]
        snapshot.close()
        snapshot.close()
        with pytest.raises(StoreError):
            snapshot.get(b"a")
        with pytest.raises(StoreError):
            everything(snapshot)

    def test_many_moments(self, store: Store):
        """Each snapshot has what was there when it was taken, in whatever order they are closed."""
        seed = random.SystemRandom().randrange(2**32)
        print("seed", seed)
        chance = random.Random(seed)
        now: Content = {}
        kept: list[tuple[object, Content]] = []
        for _ in range(120):
            batch = Batch()
            if chance.random() < 0.1:
                lower, upper = sorted(chance.choices(range(40), k=2))
                batch.clear(b"%02d" % lower, b"%02d" % upper)
                now = {key: value for key, value in now.items() if not b"%02d" % lower <= key < b"%02d" % upper}
            for _ in range(chance.randrange(4)):
                key = b"%02d" % chance.randrange(40)
                if chance.random() < 0.3:
                    batch.delete(key)
                    now.pop(key, None)
                else:
                    value = chance.randbytes(chance.randrange(5))
                    batch.put(key, value)
                    now[key] = value
            commit(store, batch, chance.choice(list(Durability)))
            if chance.random() < 0.3:
                kept.append((store.snapshot(), dict(now)))
            if kept and chance.random() < 0.3:
                snapshot, content = kept.pop(chance.randrange(len(kept)))
                assert everything(snapshot) == sorted(content.items())
                snapshot.close()  # type: ignore[attr-defined]
            assert everything(store, reverse=True) == sorted(now.items(), reverse=True)
        for snapshot, content in kept:
            assert everything(snapshot) == sorted(content.items())

    def test_reading_ahead_changes_nothing(self, store: Store):
        """Scans of one moment in turns, each by another share, while the store changes: the pairs are the same."""
        seed = random.SystemRandom().randrange(2**32)
        print("seed", seed)
        chance = random.Random(seed)
        sizes = (0, 10, 1000, 20_000, 50_000)
        content = {b"%03d" % number: chance.randbytes(chance.choice(sizes)) for number in range(300)}
        batch = Batch()
        for key, value in content.items():
            batch.put(key, value)
        commit(store, batch)
        snapshot = store.snapshot()
        scans: list[tuple[Iterator[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]] = []
        for _ in range(8):
            lower, upper = sorted(b"%03d" % chance.randrange(310) for _ in range(2))
            reverse, ahead = chance.random() < 0.2, chance.choice([1, 2, 3, 7, 50, 1 << 62])
            pairs = sorted(((k, v) for k, v in content.items() if lower <= k < upper), reverse=reverse)
            scans.append((snapshot.scan(lower, upper, reverse=reverse, ahead_count=ahead), pairs))
        while scans:
            scan, pairs = chance.choice(scans)
            for _ in range(chance.randrange(1, 20)):
                pair = next(scan, None)
                if pair is None:
                    assert not pairs
                    scans.remove((scan, pairs))
                    break
                assert pair == pairs.pop(0)
            put(store, **{f"{chance.randrange(300):03d}": "later"})
        snapshot.close()

    @pytest.mark.parametrize("is_quiet", [True, False])
    def test_pairs_are_those_of_the_moment(self, store: Store, is_quiet: bool):
        chance = random.Random(7)
        content = {b"%03d" % number: chance.randbytes(chance.choice((0, 10, 20_000))) for number in range(300)}
        commit(store, Batch(list(content.items())))
        snapshot = store.snapshot()
        keys = sorted(content)
        for _ in range(60):
            at, upper = (b"%03d" % chance.randrange(310) for _ in range(2))
            found: list[tuple[bytes, bytes]] = []
            wanted = [(key, content[key]) for key in keys if at <= key < upper]
            while pairs := snapshot.pairs(at, upper, count_max := chance.choice([1, 2, 7, 16, 50, 1000])):
                assert len(pairs) <= count_max
                found += pairs
                at = pairs[-1][0] + b"\0"
                if not is_quiet and chance.random() < 0.3:
                    put(store, **{f"{chance.randrange(300):03d}": "later"})
                if chance.random() < 0.1:
                    other = chance.choice(keys)
                    assert snapshot.get(other) == content[other]
                if chance.random() < 0.1:
                    assert next(snapshot.scan(b"", b"z", reverse=chance.random() < 0.5))[1] != b"later"
            assert found == wanted
        snapshot.close()
        with pytest.raises(StoreError):
            snapshot.pairs(b"", b"z", 1)

    @pytest.mark.parametrize("is_quiet", [True, False])
    def test_values_are_those_of_the_moment(self, store: Store, is_quiet: bool):
        """Where there are none to be had without keys, and at the end, it says nothing, and the pairs say the rest."""
        chance = random.Random(8)
        content = {b"%03d" % number: chance.randbytes(chance.choice((2, 10, 20_000))) for number in range(300)}
        commit(store, Batch(list(content.items())))
        snapshot = store.snapshot()
        for _ in range(60):
            at, upper = (b"%03d" % chance.randrange(310) for _ in range(2))
            wanted = [key for key in sorted(content) if at <= key < upper]
            found: list[bytes] = []
            behind: bytes | None = None
            while len(found) < len(wanted):
                count_max = chance.choice([1, 2, 7, 16, 50, 1000])
                values = snapshot.values(at, upper, count_max, behind)
                assert len(values) <= count_max
                behind = values[-1] if values and chance.random() < 0.9 else None
                found += values or [value for _, value in snapshot.pairs(at, upper, count_max)]
                at = wanted[len(found) - 1] + b"\0"
                if not is_quiet and chance.random() < 0.1:
                    put(store, **{f"{chance.randrange(300):03d}": "later"})
                if chance.random() < 0.1:  # another share of the moment reads elsewhere
                    snapshot.values(b"%03d" % chance.randrange(310), upper, 3)
            assert found == [content[key] for key in wanted]
            assert snapshot.values(at, upper, 3, behind) == [] or not wanted
        snapshot.close()
        with pytest.raises(StoreError):
            snapshot.values(b"", b"z", 1)

    def test_large_values(self, store: Store):
        value = random.Random(1).randbytes(10 << 20)
        batch = Batch()
        batch.put(b"large", value)
        commit(store, batch)
        assert store.get(b"large") == value

    def test_sizes_say_where_it_is(self, store: Store):
        batch = Batch()
        for number in range(2000):
            batch.put(b"a%04d" % number, bytes(500))
            batch.put(b"b%04d" % number, bytes(10))
        commit(store, batch)
        store.flush()
        assert store.size_bytes(b"x", b"z") == 0
        assert store.size_bytes(b"a", b"c") > 0

    def test_a_closed_store_says_so(self, store: Store):
        put(store, a="1")
        scan = store.scan(b"a", b"z")
        snapshot = store.snapshot()
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.get(b"a")
        with pytest.raises(StoreError):
            next(scan)
        with pytest.raises(StoreError):
            snapshot.get(b"a")
        with pytest.raises(StoreError):
            store.commit(Batch([(b"a", b"2")]), Durability.PROCESS, lambda _: None)
