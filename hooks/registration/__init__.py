"""Registering the hook and the wrapper with those who shall run them. Cold.

installation   interpreter and script, and who else could write to them
foreign_files  files in directories of other programs: put there, taken away
bundle         in a bundle's `config.json`
hooks_dir      in podman's or CRI-O's directory of hooks
cdi_specs      as CDI devices
docker_daemon  in dockerd's `daemon.json`
launcher       the program that engines run as a runtime
trial_run      running the hook as a runtime would
verify         does what is registered work?
"""
