"""One scan of a generated bucket, checked against its generator, and the client that does nothing beside it."""

from .measure import Failed, run
from .product import Product, bucket_of, differences


def scan(bench, store, *, in_flight=None, cpu=None):
    """Figures of one whole scan with the references on standard input, and what the server counted."""
    product = Product(bench.binary, bench.work / "generated", store.endpoint, "bench", server="aws", in_flight=in_flight)
    store.reset()
    figures = run(product.fresh().command("scan"), environment=store.KEYS, producer=store.references(), cpu=cpu, keep_output=True)
    wrong = differences(bucket_of(figures.pop("output")), store.expected())
    if wrong:
        raise Failed(f"the scan is wrong: {wrong}")
    return counted(figures, store)


def do_nothing(bench, store, workers, *, cpu=None):
    store.reset()
    command = [bench.do_nothing, "--endpoint", store.endpoint, "--bucket", "bench", "--workers", workers]
    return counted(run(command, environment=store.KEYS, producer=store.streams(), cpu=cpu), store)


def counted(figures, store):
    stats = store.stats()
    figures["lists"] = stats["requests"]["list"]
    figures["most_in_flight"] = stats["most_in_flight"]
    figures["list_seconds"] = stats["list_seconds"]
    figures["keys_served"] = stats["keys_served"]
    return figures
