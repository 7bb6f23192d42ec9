"""Readers of stored pictures: one file a layout, each of which gives `Records`.

settings = WebdatasetSource(kind="webdataset", folder="cc3m", shards="{00000..00331}.tar")
records = open_records(settings, Path("/data"))
source = Photographs(records, size=224)           # training records, a `types.Source`
"""
