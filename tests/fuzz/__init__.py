"""What is fed with anything at all: in CI by Hypothesis, and for hours by `make fuzz`.

targets  what reads what others have written, as functions of bytes
run      one of them under atheris, which looks for ways it has not gone yet
"""
