"""Registering hook and wrapper with those who shall run them; each standing on those above it.

installation   interpreter and script, and who else could write to them
foreign_files  files in directories of other programs: put there, taken away
all_or_nothing what an error has left nothing of
shipped_files  those that packages have as well
host_processes which programs run here
bundle         in a bundle's `config.json`
podman_config  whether podman reads a hooks directory, and having it do so
hooks_dir      in podman's or CRI-O's directory of hooks
cdi_specs      as CDI devices
docker_daemon  a runtime in dockerd's `daemon.json`
launcher_text  the program that engines run as a runtime, and what stands in its head
launcher       installing it
link_managers  what keeps networkd and NetworkManager off our links
firewalld      a zone of firewalld's for our bridges
unit           the watcher's unit in /etc
trial_run      running the hook as a runtime would
verify         does what is registered work?
doors          what is registered on this machine
inventory      all of it, and how each is taken back
"""
