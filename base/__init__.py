"""What every other part stands on: values, errors, state files, locks, clock.

Owns nothing of the domain: no networks, no containers, no kernel objects. All
of it lies on the hook's path, so it imports C modules and nothing else (see
`docs/hook-path.md`).
"""
