vigie_fuzz(http vigie_http)
vigie_fuzz(h2 vigie_http)
vigie_fuzz(url vigie_http)
vigie_fuzz(frames vigie_http)
