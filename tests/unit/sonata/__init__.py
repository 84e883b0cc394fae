"""Sonata, both ends: envelopes, states, errors, prices, and a purchase over loopback."""
