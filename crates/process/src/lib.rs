//! Processes without races: pidfds, credentials, terminals, channels.
