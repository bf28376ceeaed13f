"""The server: a page for people and an API for programs, over processes that age photos."""
