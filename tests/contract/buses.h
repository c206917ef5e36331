#pragma once

#include "tests/contract/polling.h"

// The buses that a contract test runs on. The programs that include it differ in this alone: the
// one with label `broker` has a real Kafka.
#ifdef VIGIE_BROKER_TESTS
#include "tests/broker/harness.h"
#define CONTRACT(name) TEMPLATE_TEST_CASE(name, "[contract]", KafkaHarness)
#define CONTRACT_OF_QUEUES(name) CONTRACT(name)
#else
#include "tests/contract/harness.h"
#define CONTRACT(name) TEMPLATE_TEST_CASE(name, "[contract]", MemoryHarness, RocksHarness)
// The one in memory has no queue: an append is done when it returns.
#define CONTRACT_OF_QUEUES(name) TEMPLATE_TEST_CASE(name, "[contract]", RocksHarness)
#endif
