"""The commands: parse, then import what the command needs, then one call."""
