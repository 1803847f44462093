"""The `ocinet` command: parse, call, print.

What every command goes through, in the order in which it does:

main              the entry point: finds the command, tells what went wrong, exits
command_tree      all commands' names, summaries and modules, as plain text
parser            argparse that raises, and flags that many commands have
words             what docker, podman and ip call what we call otherwise
request_flags     what a container may ask for, as flags
console           a run's edges: streams, environment, the engine
engine_names      containers by the names that their engines have for them
targets           TARGET: which container or sandbox a person means
template_functions  what a template can do to a value
template          Go's templates, as docker's users write them
filters           --filter, and the moments in it
views             our data by the names that docker's templates have for them
event_log         the event log, followed
colours           for people at a terminal
progress          what is done, for who waits at a terminal
printing          tables for people, JSON for programs
registration      what hooks and runtime register, and how they tell of it
unstarted_bundle  a bundle that `plan` looks at before it is started

The commands, each with what it declares and what it does: attach (and detach, plan,
publish, unpublish), listing (ps, port), containers (inspect), execute, network_create,
network, connection, addresses (ipam, reservation), kept_ports,
hooks, runtime, watch, wait, status,
doctor, explain, check, gc, events, version.

A command's start is what its user waits for, so what one command needs is imported
there, and `typing` nowhere: on top of argparse it takes a quarter more time
(`tests/unit/test_cli_imports.py` holds that).
"""
