#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/detect_config.h"
#include "app/outward_config.h"
#include "core/log.h"
#include "core/result.h"
#include "http/server.h"
#include "ingest/foreign_topic.h"
#include "ingest/receivers.h"
#include "ingest/scrape.h"
#include "schemas/policy.h"
#include "streams/kafka/kafka_bus.h"

namespace vigie::app {

// "127.0.0.1:9099" or "[::1]:9099".
struct Listen {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;  // 0: a free one
    bool enabled = true;
};

// Everything that `vigie serve` is told. The defaults are safe: loopback only, all in shadow.
struct Config {
    std::string data = "data";
    DomainId domain{"default"};
    LogLevel log_level = LogLevel::kInfo;

    std::int32_t partitions = 1;  // Of the telemetry topics; the others have one for each domain.
    std::int64_t retention_bytes = std::int64_t{2} << 30;  // Of each telemetry topic
    bool sync = true;                                      // False loses seconds on power loss.
    // The log is on Kafka instead of in the data folder.
    std::optional<streams::kafka::KafkaBus::Options> kafka;
    std::chrono::milliseconds tick{1000};

    Listen api{"127.0.0.1", 9099};
    Listen otlp{"127.0.0.1", 4318};
    // OTLP/gRPC, and HTTP/1.1 too. On when the line above has its usual port, unless said
    // otherwise.
    Listen otlp_grpc{"127.0.0.1", 4317, false};
    Listen alertmanager{"127.0.0.1", 9093};
    Listen syslog_udp{"127.0.0.1", 514, false};
    Listen syslog_tcp{"127.0.0.1", 514, false};
    Listen syslog_tls{"127.0.0.1", 6514, false};
    std::optional<http::TlsFiles> tls;
    http::Http2Bounds http2;
    std::string api_token;
    std::chrono::milliseconds drain_wait_max{10'000};

    ingest::Receivers::Options ingest;
    std::vector<ingest::ForeignTopic> foreign_topics;  // On Kafka
    ingest::Scraper::Options scrape;
    DetectConfig detect;
    schemas::Policy policy;
    OutwardConfig outward;  // Actions and notifications
};

// All mistakes at once, one line each: "vigie.yaml:12:3: agent.modus: unknown option; …".
struct ConfigErrors {
    std::vector<std::string> lines;
};

// Reads and checks the file, the runbooks and secret files it names. "" is the defaults.
std::expected<Config, ConfigErrors> load_config(const std::string& file);

// The same of a text that was read. `file` is what complaints call it, `shipped` are the runbooks
// that are there before any that the text names.
std::expected<Config, ConfigErrors> parse_config(const std::string& text, const std::string& file,
                                                 std::vector<schemas::Runbook> shipped);

// Whether only this machine can reach an address.
bool is_loopback(const std::string& address);

}  // namespace vigie::app
