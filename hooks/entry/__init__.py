"""What a runtime calls, each module standing on those above it alone.

state          what a runtime hands over on stdin
call           how it was called: the stage, and the registration's flags
report         how failures are told
request_of     what a container gets
on_demand      what is loaded as it is asked for
engine_access  the engine, opened once there is something to do
created        up: a container that is being created gets its network
stage          one stage of a container's life: up, or down
"""
