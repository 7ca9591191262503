"""Reaching the page from a phone: addresses, certificates, one port for HTTPS and HTTP, and the /connect page."""
