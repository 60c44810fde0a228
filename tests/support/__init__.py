"""What the tests share: managed servers, fault proxies, manual clocks."""
