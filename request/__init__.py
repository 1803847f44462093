"""What a container asks for: one grammar for all doors, and whose word it is.

annotations   the one parser of `ocinet.*` keys
grammar       addresses, MACs, routes and lists in their values
publish       Docker's `-p` grammar
bindings      published ports as an engine keeps them
origin        what the user said, less what the image said
config_json   what a bundle's `config.json` says
podman_files  what podman's storage tells of a container and its image
docker_files  what Docker's own files tell of them
cdi           networks asked for by a CDI device
"""
