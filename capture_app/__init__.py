"""Guides and answers: the capture page and its server."""
