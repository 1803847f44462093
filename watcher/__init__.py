"""The engine side: Docker's and Podman's containers are wired by a service beside them.

Events come in and jobs go out; each job asks anew for all that it goes by. In the
order in which it is best read, from the values outward:

observed        a container as it was observed, and an event: values
policy          which containers are wired, and with what: pure
docker_json     an engine's JSON, read into those values
bounded_http    HTTP with an engine that may be anybody
docker_api      an engine's socket: the one module that asks by `docker`
by_name         who has a name in an engine, for a person who asks
cgroups         the machine's cgroup tree, where a container's processes are
births          cgroups, told of as they are made
sight           whether an engine's processes can be seen from here
life            a container's first process, and its sandbox, open
lookout         the thread that finds sandboxes before the engine tells of them
access_calls    who may talk to whom: refusals told, DNS names followed
name_turns      which DNS name is looked up next: pure
engine_calls    what else `ocinet.engine` is called for
remembered      what is remembered of containers, and by whom
container_jobs  what is done about one container
workers         the threads that do jobs, in turn for each container
dispatch        which job follows from an event or a list, and when it is tried again
pace            when to look, and what is no longer repaired for a while: pure
turns           a thread that takes turns until it is stopped
lookup          where a DNS name leads to
keeper          the thread that is told what others change, and has it put right
port_holder     the thread that holds published ports against services of the host
page            the page on which a person sees what is there, as it changes
bulletin        what the watcher tells of itself, in a file: how each engine is
own_figures     this host's figures and the watcher's own, gathered
exporter        the thread that answers who scrapes them
exporting       whether there is one, and where
watch           the thread that reads one engine's events, and finds the engine again
service         all engines, the signals, and the timetable
logs, notify    what the service tells: its log, and its manager

`docs/watcher.md` tells it to users, `docs/early-attach.md` has the figures.
"""
