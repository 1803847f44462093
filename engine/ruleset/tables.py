"""What our tables are called, and what they leave on a packet.

Apart from `nft`, for each attach has use for it, and few for our rules as text.
"""

FAMILY = "inet"
TABLE = "ocinet"
UPLINKS_TABLE = "ocinet-uplinks"  # on hosts that route by source; see `ruleset.uplinks`
# Of a packet that our table has let pass to a bridge; see `ruleset.filters`.
PASSED_MARK = 0x6F63696E
PASSED_CHAIN = "passed"
