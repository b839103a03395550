"""Fronts: processes beside the server that take connections and read requests to send, so that it has time to send.

A front answers small requests of hot routes: it reads and checks them, asks the server to make them durable, and
writes the answer. A connection that asks for anything else is handed over to the server, descriptor and all. Nothing
but the connections themselves is lost with a front; without their server they end.
"""
