def guarded(real, limit):
    calls = []

    def count(*args, **options):
        calls.append(1)
        assert len(calls) <= limit, "a chunk was computed twice"
        return real(*args, **options)

    return count
