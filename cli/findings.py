"""How what `check` and `network reload` have found is shown."""

from __future__ import annotations

from ocinet.cli.printing import Table, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.engine.check import Finding


def show_findings(findings: tuple[Finding, ...], arguments: Namespace, console: Console) -> int:
    """Print one line for each thing that is not as it was made, or the same as JSON.

    Returns:
        The exit status: 0 if there is none, or all of them are repaired.
    """
    table = Table("CONTAINER", "WHAT", "REPAIRED")
    for finding in findings:
        why_not = f"no: {finding.why_not}" if finding.why_not else "no"
        table.add(finding.container or "-", finding.what, "yes" if finding.repaired else why_not)
    shown = [
        {
            "container": finding.container,
            "what": finding.what,
            "repaired": finding.repaired,
            "why_not": finding.why_not,
        }
        for finding in findings
    ]
    if findings or arguments.format == "json":
        show(console, arguments, shown, table)
    return 0 if all(finding.repaired for finding in findings) else 1
