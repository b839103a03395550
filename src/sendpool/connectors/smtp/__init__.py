"""Email over SMTP submission to a relay; what a relay and recipients say comes back as bounces and unsubscriptions."""
