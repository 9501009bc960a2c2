"""heimdall-storage as it is measured: its configuration, and what it says."""

import json
import shutil

CONFIG = """\
stores:
  store: {{type: s3, endpoint: "{endpoint}", access_key_env: AWS_ACCESS_KEY_ID, secret_key_env: AWS_SECRET_ACCESS_KEY{store}}}
{databases}buckets:
  - name: {bucket}
    store: store
    mode: {mode}
    min_age: 30d
    references: [{{{references}}}]
    guards: {{max_orphan_ratio: 1, max_unreferenced_class: 10000000000000, min_match_rate: 0}}
state: {{path: ./state}}
"""
FROM_STDIN = 'list: "-", as: key'


class Product:
    """One configuration, in a folder of its own; each run begins without a history."""

    def __init__(self, binary, folder, endpoint, bucket, references=FROM_STDIN, *, server=None, in_flight=None, database=None, mode="report"):
        self.binary, self.folder = binary, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "heimdall.yaml"
        store = (f", server: {server}" if server else "") + (f", in_flight: {in_flight}" if in_flight else "")
        databases = f'databases:\n  main: {{type: postgresql, url: "{database}"}}\n' if database else ""
        self.config.write_text(CONFIG.format(endpoint=endpoint, bucket=bucket, references=references, store=store, databases=databases, mode=mode))

    def command(self, *words):
        return [self.binary, "--config", self.config, *words, "--json"]

    def fresh(self):
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        return self


def bucket_of(output):
    """The figures of the only bucket in the summary."""
    summary = json.loads(output.splitlines()[-1])
    return next(iter(summary["buckets"].values()))


def differences(found, expected):
    """What a scan counted otherwise than the generator, as text; empty if nothing."""
    return ", ".join(f"{name}: {found.get(name)} instead of {value}" for name, value in expected.items() if found.get(name) != value)
