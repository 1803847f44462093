"""The `ocinet` command: parse, call, print."""
