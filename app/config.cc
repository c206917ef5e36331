#include "app/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "app/bus_config.h"
#include "app/ingest_config.h"
#include "app/policy_config.h"
#include "app/scrape_config.h"
#include "app/section.h"
#include "core/system_clock.h"
#include "responders/actions/runner.h"

namespace vigie::app {

namespace {

constexpr std::uint16_t kOtlpPort = 4318;
constexpr std::size_t kConfigBytesMax = 4 * 1024 * 1024;

// The listener takes addresses, not names.
bool is_address(const std::string& text) {
    std::array<unsigned char, sizeof(in6_addr)> out{};
    return inet_pton(AF_INET, text.c_str(), out.data()) == 1 ||
           inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
}

void read_listen(Section& section, std::string_view key, Listen& listen) {
    if (!section.has(key)) return;
    const std::string text = section.text(key);
    if (text == "off") {
        listen.enabled = false;
        return;
    }
    const auto colon = text.rfind(':');
    unsigned port = 0;
    const char* const end = text.data() + text.size();
    const bool good = colon != std::string::npos && colon > 0 &&
                      std::from_chars(text.data() + colon + 1, end, port).ptr == end &&
                      colon + 1 < text.size() && port <= 65535;
    if (!good) {
        section.complain(key, "must be ADDRESS:PORT, for example 127.0.0.1:9099, or off");
        return;
    }
    listen.address = text.substr(0, colon);
    if (listen.address.starts_with('[') && listen.address.ends_with(']')) {
        listen.address = listen.address.substr(1, listen.address.size() - 2);
    }
    if (listen.address == "localhost") listen.address = "127.0.0.1";
    if (!is_address(listen.address)) {
        section.complain(key, fmt::format("'{}' is not an IP address", listen.address));
    }
    listen.port = static_cast<std::uint16_t>(port);
    listen.enabled = true;
}

void read_listeners(Section& section, Config& config) {
    read_listen(section, "api", config.api);
    read_listen(section, "otlp", config.otlp);
    // Who moved the one port is asked to say where the other goes.
    config.otlp_grpc.address = config.otlp.address;
    config.otlp_grpc.enabled =
        section.has("otlp_grpc") || (config.otlp.enabled && config.otlp.port == kOtlpPort);
    read_listen(section, "otlp_grpc", config.otlp_grpc);
    read_listen(section, "alertmanager", config.alertmanager);
    read_listen(section, "syslog_udp", config.syslog_udp);
    read_listen(section, "syslog_tcp", config.syslog_tcp);
    read_listen(section, "syslog_tls", config.syslog_tls);
    if (!config.api.enabled)
        section.complain("api", "cannot be off: health and decisions are there");
    section.child("tls", [&config](Section& tls) {
        const http::TlsFiles files{tls.text("certificate_file"), tls.text("key_file")};
        if (files.certificate_file.empty() != files.key_file.empty()) {
            tls.complain("", "needs both certificate_file and key_file");
        }
        if (files.certificate_file.empty() || files.key_file.empty()) return;
        if (const auto usable = http::check_tls(files); !usable) {
            tls.complain("", usable.error().message);
        }
        config.tls = files;
    });
    section.child("http2", [&config](Section& part) {
        auto& bounds = config.http2;
        const auto count = [&part](std::string_view key, auto fallback, std::int64_t max) {
            return static_cast<decltype(fallback)>(
                part.integer(key, static_cast<std::int64_t>(fallback), 1, max));
        };
        bounds.streams_max = count("streams_max", bounds.streams_max, 10'000);
        bounds.resets_max = count("resets_max", bounds.resets_max, 1'000'000);
        bounds.control_frames_max =
            count("control_frames_max", bounds.control_frames_max, 1'000'000);
        bounds.flood_span = part.seconds("flood_span", bounds.flood_span);
        if (bounds.flood_span.count() < 1) part.complain("flood_span", "must be at least 1s");
        const auto window = part.bytes("window", bounds.window_bytes);
        if (window < 65'535 || window > std::int64_t{512} << 20) {
            part.complain("window", "must be from 65535 to 512MiB");
        } else {
            bounds.window_bytes = static_cast<std::uint32_t>(window);
        }
    });
    if (config.syslog_tls.enabled && !config.tls) {
        section.complain("syslog_tls", "needs tls.certificate_file and tls.key_file");
    }
}

void read_api(Section& root, Config& config) {
    root.child("api", [&config](Section& section) {
        config.api_token = section.secret("token");
        config.drain_wait_max =
            section.duration("drain_wait_max", config.drain_wait_max, std::chrono::milliseconds{0});
    });
    if (!is_loopback(config.api.address) && config.api_token.empty()) {
        root.complain("listen", "an API that others can reach needs api.token or api.token_file");
    }
}

void read_log(Section& section, Config& config) {
    const std::string level = section.text("level", "info");
    if (level == "debug") {
        config.log_level = LogLevel::kDebug;
    } else if (level == "warn") {
        config.log_level = LogLevel::kWarn;
    } else if (level == "error") {
        config.log_level = LogLevel::kError;
    } else if (level != "info") {
        section.complain("level", "must be debug, info, warn or error");
    }
}

constexpr std::chrono::milliseconds kTickMax{2000};

void read_root(Section& root, Config& config, std::vector<std::string>& runbook_complaints) {
    config.data = root.text("data", config.data);
    if (config.data.empty()) root.complain("data", "must name a folder");
    config.domain = {root.text("domain", config.domain.value)};
    if (config.domain.empty()) root.complain("domain", "must not be empty");
    config.tick = root.duration("tick", config.tick, std::chrono::milliseconds{10});
    // The agent takes a longer silence for a time in which nobody watched.
    if (config.tick > kTickMax) root.complain("tick", "must be at most " + to_string(kTickMax));
    root.child("log", [&config](Section& section) { read_log(section, config); });
    root.child("bus", [&config](Section& section) { read_bus(section, config); });
    root.child("listen", [&config](Section& section) { read_listeners(section, config); });
    read_api(root, config);
    root.child("ingest", [&config](Section& section) { read_ingest(section, config); });
    read_scrape(root, config.scrape);
    root.child("identity", [&config](Section& section) { read_identity(section, config); });
    root.child("detect", [&config](Section& section) { read_detect(section, config.detect); });
    root.child("runbooks", [&](Section& section) {
        const std::string folder = section.text("folder");
        if (folder.empty()) return;
        const auto read = read_runbook_folder(folder, config.policy.runbooks, runbook_complaints);
        if (!read) section.complain("folder", read.error().message);
    });
    root.child("agent", [&config](Section& section) { read_agent(section, config.policy); });
    root.each("inventory", [&config](Section& section) {
        config.policy.inventory.push_back(read_inventory_entry(section));
    });
    read_outward(root, config.outward);
    if (config.kafka) {
        // Who began an action may still live there, cut off from Kafka: its call must be over.
        const auto over =
            actions::Runner::Options{}.intent_age_max + 2 * config.outward.action_timeout;
        config.outward.orphan_wait =
            std::max(config.outward.orphan_wait,
                     std::chrono::ceil<std::chrono::seconds>(over) + std::chrono::seconds{1});
    }
    if (const auto usable = check_outward(config.outward, SystemClock{}); !usable) {
        root.complain("", usable.error().message);
    }
    config.ingest.intake.domain = config.domain;
}

}  // namespace

bool is_loopback(const std::string& address) {
    return address.starts_with("127.") || address == "::1";
}

std::expected<Config, ConfigErrors> load_config(const std::string& file) {
    if (file.empty()) return parse_config("", file, shipped_runbooks());
    const auto text = read_file(file, kConfigBytesMax);
    if (!text) return std::unexpected(ConfigErrors{{text.error().message}});
    return parse_config(*text, file, shipped_runbooks());
}

std::expected<Config, ConfigErrors> parse_config(const std::string& text, const std::string& file,
                                                 std::vector<schemas::Runbook> shipped) {
    Config config;
    config.policy.runbooks = std::move(shipped);
    const auto root = parse_yaml(text);
    if (!root) {
        return std::unexpected(ConfigErrors{{fmt::format("{}: {}", file, root.error().message)}});
    }
    Complaints complaints(file);
    std::vector<std::string> runbook_complaints;
    {
        Section section(&*root, "", complaints);
        read_root(section, config, runbook_complaints);
    }
    ConfigErrors errors{complaints.all()};
    errors.lines.insert(errors.lines.end(), runbook_complaints.begin(), runbook_complaints.end());
    if (!errors.lines.empty()) return std::unexpected(std::move(errors));
    return config;
}

}  // namespace vigie::app
