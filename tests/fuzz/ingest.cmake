vigie_fuzz(alert vigie_ingest)
vigie_fuzz(github vigie_ingest)
