vigie_fuzz(alert vigie_ingest)
vigie_fuzz(github vigie_ingest)
vigie_fuzz(logs vigie_ingest)
vigie_fuzz(webhooks vigie_ingest)
