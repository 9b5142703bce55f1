QUICK = {"quantizers": ("sign",), "draws": 40, "neighbours": 8}


def codes(flags):
    return {flag.code for flag in flags}
