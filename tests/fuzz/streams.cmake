vigie_fuzz(chunk vigie_streams_rocks)
