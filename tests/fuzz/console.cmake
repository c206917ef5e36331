# The incidents that the console's tests show.
vigie_fuzz(decision vigie_console)
target_sources(decision_fuzz PRIVATE ../console/samples.cc)
vigie_fuzz(console vigie_console vigie_streams_memory)
target_sources(console_fuzz PRIVATE ../console/samples.cc)
