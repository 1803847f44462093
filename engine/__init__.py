"""Attach and detach: plan, apply, undo, record.

The only part that touches the kernel. It must not know Docker, OCI, or where a
request came from. Order of the modules, each importing only what stands above:

    model      values: requests, networks, endpoints, attachments
    request    the one parser of `ocinet.*` keys
    kernel     links, addresses, namespaces, sysctls      (rtnetlink)
    firewall   our nftables table and its elements        (nfnetlink)
    plan       wanted + observed -> steps                 (pure)
    engine     lock, observe, plan, apply, undo, record
"""
