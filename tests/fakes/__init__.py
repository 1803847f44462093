"""What stands in for a part that a test can't have, or has to break.

Each answers as the real thing does, and one suite of contract tests is run against both.

    engine_api/      Docker's and podman's API on a socket; tests/engines/contract
    host.py          a host in memory, by the seams that planning has; tests/contract
      kernel.py      its links, sandboxes, bridges, sysctls and names
      namespace.py   the namespaces that these are in
      firewall.py    its firewall
      trace.py       what was asked of it, and where it is made to fail
    judged_store.py  an address store whose holders live as the test says
    engine.py        an engine as hooks see it: it notes what it is asked
    shell.py         the command, around an engine that notes what it is asked
    bare_json.py     an interpreter in which nobody has imported `json`
"""
