vigie_fuzz(url vigie_http)
