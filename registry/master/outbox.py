"""Orders that wait for their way to a server: the latest for each region, kept until the server has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from registry.master.held import Order
from registry.names import ServerName


class Outbox:
    """By server, then by region."""

    def __init__(self) -> None:
        self._orders: dict[ServerName, dict[str, Order]] = {}

    def give(self, server: ServerName, order: Order) -> None:
        """To be told; an older order for the region is not told any more."""
        self._orders.setdefault(server, {})[order.info.encoded_name] = order

    def drop(self, server: ServerName, region: str) -> None:
        """Not any more."""
        self._orders.get(server, {}).pop(region, None)

    def forget(self, server: ServerName) -> None:
        """The server is gone."""
        self._orders.pop(server, None)

    def servers(self) -> list[ServerName]:
        """Who is to be told something."""
        return [server for server, orders in self._orders.items() if orders]

    def orders(self, server: ServerName, orders_max: int) -> list[Order]:
        """What to tell next; the same again until `sent`."""
        return list(islice(self._orders.get(server, {}).values(), orders_max))

    def sent(self, server: ServerName, orders: Iterable[Order]) -> None:
        """The server has them."""
        waiting = self._orders.get(server, {})
        for order in orders:
            name = order.info.encoded_name
            if name in waiting and waiting[name].order_id == order.order_id:
                del waiting[name]
