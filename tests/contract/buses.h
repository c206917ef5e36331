#pragma once

#include "tests/contract/polling.h"

// The buses that a contract test runs on. The programs that include it differ in this alone: the
// one with label `broker` has a real Kafka.
#ifdef VIGIE_BROKER_TESTS
#include "tests/broker/harness.h"
#define CONTRACT(name) TEMPLATE_TEST_CASE(name, "[contract]", KafkaHarness)
#else
#include "tests/contract/harness.h"
#define CONTRACT(name) TEMPLATE_TEST_CASE(name, "[contract]", MemoryHarness, RocksHarness)
#endif
