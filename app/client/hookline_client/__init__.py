"""Hookline for Python programs: a client of its HTTP interface, on `requests`."""

from hookline_client.client import Client, ClientError, Published

__all__ = ["Client", "ClientError", "Published"]
