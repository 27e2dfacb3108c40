"""Advice on connections that failed, from the words of the system, of OpenSSL and of gRPC."""

from __future__ import annotations

import re

_ADVICE = {
    r"self[- ]signed certificate|unable to get (local )?issuer certificate": (
        "nobody whom this machine trusts vouches for the server's certificate: if you do, put the file of its "
        "authority into the environment variable {roots}"
    ),
    r"certificate (has|is) expired": "the server's certificate has expired: it needs a new one, or this clock is wrong",
    r"not yet valid": "the server's certificate is not valid yet: is this machine's clock right?",
    r"hostname mismatch|ip address mismatch|name check failed|peer name": (
        "the server shows the certificate of another host: ask it by the name that its certificate holds"
    ),
    r"wrong[_ ]version[_ ]number": "the server does not speak TLS at this port: is it http, or another port?",
    r"refused|connect call failed|connection attempts failed": (
        "nothing answers at this address: start the server, or correct the address"
    ),
    r"name or service not known|nodename nor servname|name resolution|no address associated|dns": (
        "no machine is found by this name: correct the address, or see that this machine has a network"
    ),
    r"unreachable|no route|no connection within|timed? ?out": (
        "no answer came from there: see that this machine has a network, and that no firewall is between"
    ),
}


def advice(said: str, roots: str = "SSL_CERT_FILE") -> str:
    """Return advice on the failure that `said` tells, to be added to it; "" where nothing is known of it.

    roots: the environment variable that names whom to trust.
    """
    found = (text for pattern, text in _ADVICE.items() if re.search(pattern, said, re.IGNORECASE))
    return "".join(f"; {text.format(roots=roots)}" for text in list(found)[:1])
