"""What a container asks for: one grammar for all doors, and whose word it is.

In the order in which to read it, each module standing on those above it alone. First
the grammar, which reads no file:

grammar        addresses, MACs, routes and lists in the values of keys
publish        Docker's `-p` grammar
bindings       published ports as an engine keeps them
resolution     resolvers and names of hosts, for who asks for them
sysctls        likewise kernel parameters, and which a container may have otherwise
access         who may talk to whom, likewise
bandwidth      likewise how fast a container may send and be sent to
annotations    the one parser of `ocinet.*` keys
spelling       what it reads, written
trust          what of it an image must not be able to ask for
own_keys       what the user said, less what the image said

Then where it stands, which is files of others alone: who asks an engine while it
creates a container waits for ever, for the engine waits for us.

bounded_reads  no more of them than a document may have
config_json    what a bundle's `config.json` says
podman_files   what podman's storage tells of a container and its image
podman_hooks   which hooks podman runs, by its configuration
docker_files   what Docker's own files tell of them
runtime_files  what runc's and crun's state tells of who runs
cdi            networks asked for by a CDI device
"""
