// The configuration: what `vigie check-config` lets through must work, and reach the agent whole
// and without secrets.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "app/yaml.h"
#include "core/system_clock.h"
#include "http/client.h"
#include "tests/fuzz/config_checks.h"

namespace {

using namespace vigie;

constexpr const char* kFile = "vigie.yaml";

// Instead of those that ship, which take longer to read than the input.
schemas::Runbook small_runbook() {
    schemas::Runbook runbook;
    runbook.name = "restart";
    runbook.steps = {{"kubernetes.restart_deployment", {}, {}}};
    return runbook;
}

bool holds_once(std::string_view text, std::string_view word) {
    const auto at = text.find(word);
    return at != std::string_view::npos && text.find(word, at + 1) == std::string_view::npos;
}

// Values of options that are secrets, when nothing else in the file could be mistaken for them.
void collect_secrets(const app::YamlNode& node, std::string_view text,
                     std::vector<std::string>& secrets) {
    constexpr std::size_t kBytesMin = 8;
    for (const auto& item : node.items) collect_secrets(item, text, secrets);
    for (const auto& [key, value] : node.entries) {
        const bool secret = key == "token" || key == "secret" || key == "secret_old" ||
                            key == "routing_key" || key == "Authorization";
        if (secret && value.scalar.size() >= kBytesMin && holds_once(text, value.scalar)) {
            secrets.push_back(value.scalar);
        }
        collect_secrets(value, text, secrets);
    }
}

void check_listen(const app::Listen& listen) {
    VIGIE_ASSERT(!listen.address.empty() && !listen.address.contains(' '));
}

void check_config(const app::Config& config) {
    using std::chrono::milliseconds;
    constexpr milliseconds kForEver = std::chrono::days{36525};
    VIGIE_ASSERT(!config.data.empty() && config.partitions >= 1 && config.partitions <= 64);
    VIGIE_ASSERT(config.retention_bytes >= 0);
    VIGIE_ASSERT(config.tick >= milliseconds{10} && config.tick <= milliseconds{2000});
    VIGIE_ASSERT(config.drain_wait_max >= milliseconds{0} && config.drain_wait_max <= kForEver);
    for (const auto* listen : {&config.api, &config.otlp, &config.alertmanager}) {
        check_listen(*listen);
    }
    const bool local = config.api.address.starts_with("127.") || config.api.address == "::1";
    VIGIE_ASSERT(config.api.enabled && (local || !config.api_token.empty()));
    const auto& intake = config.ingest.intake;
    VIGIE_ASSERT(intake.body_bytes_max > 0 && intake.body_bytes_max <= 7U << 20U);
    VIGIE_ASSERT(intake.in_flight_bytes_max >= intake.body_bytes_max);
    VIGIE_ASSERT(intake.domain == config.domain && config.ingest.github_secrets.size() <= 2);
    VIGIE_ASSERT(!config.policy.runbooks.empty());
    VIGIE_ASSERT(detectors::make_rule_detector(config.detect.rules).has_value());
    VIGIE_ASSERT(app::check_outward(config.outward, SystemClock{}).has_value());
    if (const auto& cluster = config.outward.kubernetes) {
        VIGIE_ASSERT(http::parse_url(cluster->server_url).has_value());
        VIGIE_ASSERT(cluster->certificate_sha256.empty() ||
                     http::parse_fingerprint(cluster->certificate_sha256)->size() == 64);
    }
    // What the agent receives, in an event of this domain.
    fuzz::check_event(config.policy, config.domain);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto config = app::parse_config(text, kFile, {small_runbook()});
    std::vector<std::string> secrets;
    if (const auto root = app::parse_yaml(text)) collect_secrets(*root, text, secrets);
    if (config) {
        check_config(*config);
        const std::string policy = schemas::encode_policy(config->policy);
        for (const auto& secret : secrets) VIGIE_ASSERT(!policy.contains(secret));
        return 0;
    }
    VIGIE_ASSERT(!config.error().lines.empty());
    for (const auto& line : config.error().lines) {
        // The files of a folder have complaints of their own.
        const bool ours = line.starts_with(kFile);
        VIGIE_ASSERT(ours || text.contains("folder"));
        if (ours) fuzz::check_complaint(line, kFile, text);
        for (const auto& secret : secrets) VIGIE_ASSERT(!line.contains(secret));
    }
    return 0;
}
