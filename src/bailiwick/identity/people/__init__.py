"""People: accounts, where they belong and what their roles may, and the links by which they get in."""
