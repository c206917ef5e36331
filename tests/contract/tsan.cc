// Read by ThreadSanitizer at start. Debian's librocksdb is not instrumented, so TSan does not see
// its atomics and reports its own threads to each other. Only reports with a frame of RocksDB are
// left out: our locks around it are still checked.
extern "C" const char* __tsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)

extern "C" const char* __tsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
    return "race:librocksdb.so\n";
}
