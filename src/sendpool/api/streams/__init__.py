"""Event Streams: sinks, subscriptions, types and schemas as the hosted API has them; and our own feed to pull from."""
