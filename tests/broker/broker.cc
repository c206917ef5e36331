#include "tests/broker/broker.h"

#include <sstream>

#include <fmt/format.h>

namespace vigie::streams {

namespace {

constexpr std::chrono::seconds kWaitMax{120};

}  // namespace

Broker::Broker(int nodes) {
    auto process =
        test::Process::spawn({"/usr/bin/python3", std::string(VIGIE_SOURCE_DIR) + "/tools/kafka.py",
                              "run", "--dir", folder_.path(), "--nodes", std::to_string(nodes)});
    VIGIE_ASSERT(process.has_value());
    process_.emplace(*std::move(process));
    const auto line = process_->read_line(kWaitMax);
    if (!line) FAIL("Kafka does not start: " << line.error().message);
    std::istringstream words(*line);
    words >> servers_ >> sasl_servers_ >> ssl_servers_;
}

Broker& Broker::shared() {
    static Broker broker(1);
    return broker;
}

void Broker::obey(const std::string& verb, int node) {
    process_->write_line(fmt::format("{} {}", verb, node));
    const auto line = process_->read_line(kWaitMax);
    if (!line) FAIL("Kafka does not " << verb << ": " << line.error().message);
    REQUIRE(*line == "done");
}

}  // namespace vigie::streams
