"""What a runtime calls.

state  what it hands over on stdin
stage  one stage of a container's life: up, or down
"""
