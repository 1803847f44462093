"""One look at all that is there, and what is wrong: taken once, shown in several ways.

It only reads. Read it in this order, in which each module imports only what stands above:

    values       hosts, networks, containers and their figures as they are shown, pure
    event_lines  the event log's lines, and the events in them
    failures     why a container has no network: its last failure there
    judgement    what of wiring and networks is wrong, told from lists alone, pure
    observe      the picture, taken

and what shows it, pure:

    spelling     names that others chose, counts, ports, addresses
    grouping     who is shown where, and what part is asked for
    as_json      for programs
    tree         for a terminal
    dot          for graphviz
    mermaid      for Markdown
    svg_parts    shapes, signs, texts that fit
    svg_wires    a drawing of a few, with all wires
    svg_crowd    a drawing of many, in rows
    svg          which of them, and what is told to who does not see it

and figures of it:

    exposition   Prometheus's text format, pure
    counts       what the log's events come to, counted by few words
    tally        that, on and on, however often the log is begun anew
    metrics      all that is told to Prometheus
    rates        what passes each second: the difference of two looks, pure
"""
