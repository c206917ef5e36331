#include "app/ingest_config.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "http/client.h"
#include "ingest/mapping.h"
#include "schemas/events.h"
#include "schemas/identity.h"

namespace vigie::app {

namespace {

constexpr std::size_t kTenantBytesMax = 128;
constexpr std::size_t kLabelBytesMax = 64;
constexpr std::size_t kBodyBytesMax = 7 * 1024 * 1024;  // streams::kMessageBytesMax less its frame

// One secret, or two while it is being changed.
std::vector<std::string> read_secrets(Section& section, std::string_view key) {
    std::vector<std::string> secrets;
    for (const auto& name : {std::string(key), std::string(key) + "_old"}) {
        if (auto secret = section.secret(name); !secret.empty()) {
            secrets.push_back(std::move(secret));
        }
    }
    return secrets;
}

std::map<std::string, EntityId> read_entities(Section& section) {
    std::map<std::string, EntityId> entities;
    for (auto& [name, entity] : section.text_map("entities")) entities[name] = EntityId{entity};
    return entities;
}

ingest::AlertMapping read_alert_mapping(Section& section) {
    ingest::AlertMapping mapping;
    mapping.fingerprint = section.text("fingerprint");
    mapping.name = section.text("name");
    mapping.summary = section.text("summary");
    mapping.severity = section.text("severity");
    for (const auto& [word, name] : section.text_map("severities")) {
        if (const auto severity = schemas::parse_severity(name)) {
            mapping.severities[word] = *severity;
        } else {
            section.complain("severities", "'" + name + "' is not info, warning or critical");
        }
    }
    mapping.state = section.text("state");
    if (section.has("resolved")) mapping.resolved = section.texts("resolved");
    mapping.entity = section.text("entity");
    mapping.entity_kind = section.text("entity_kind", mapping.entity_kind);
    mapping.at = section.text("at");
    mapping.url = section.text("url");
    mapping.labels = section.text_map("labels");
    return mapping;
}

ingest::ChangeMapping read_change_mapping(Section& section) {
    ingest::ChangeMapping mapping;
    const auto kind = section.text("kind", "deployment");
    if (const auto known = schemas::parse_change_kind(kind);
        known && *known != schemas::ChangeKind::kTopology) {
        mapping.kind = *known;
    } else {
        section.complain("kind",
                         "must be commit, build, test_run, deployment, configuration or scaling");
    }
    mapping.key = section.text("key");
    mapping.status = section.text("status");
    mapping.entity = section.text("entity");
    mapping.entity_kind = section.text("entity_kind", mapping.entity_kind);
    mapping.version = section.text("version");
    mapping.environment = section.text("environment");
    mapping.actor = section.text("actor");
    mapping.summary = section.text("summary");
    mapping.at = section.text("at");
    mapping.url = section.text("url");
    return mapping;
}

}  // namespace

ingest::Mapping read_mapping(Section& section) {
    ingest::Mapping mapping;
    mapping.each = section.text("each");
    const bool alert = section.has("alert");
    if (alert == section.has("change")) {
        section.complain("", "needs either 'alert' or 'change': what an item becomes");
    }
    if (alert) {
        section.child("alert",
                      [&](Section& part) { mapping.alert.emplace(read_alert_mapping(part)); });
    } else {
        section.child("change",
                      [&](Section& part) { mapping.change.emplace(read_change_mapping(part)); });
    }
    if (const auto good = ingest::check_mapping(mapping); !good) {
        section.complain(alert ? "alert" : "change", good.error().message);
    }
    return mapping;
}

namespace {

// A part of a path.
void check_name(Section& section, const std::string& name) {
    const bool good = !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (!good) {
        section.complain("name", "must be 1 to 64 small letters, digits, dashes or underscores");
    }
}

void read_alert_sources(Section& section, ingest::Receivers::Options& options) {
    section.child("alertmanager",
                  [&](Section& part) { options.alertmanager_token = part.secret("token"); });
    section.child("alertmanager_webhook", [&](Section& part) {
        options.alertmanager_webhook_token = part.secret("token");
    });
    section.child("grafana", [&](Section& part) { options.grafana_token = part.secret("token"); });
    section.child("pagerduty",
                  [&](Section& part) { options.pagerduty_secrets = read_secrets(part, "secret"); });
}

void read_change_sources(Section& section, ingest::Receivers::Options& options) {
    section.child("github", [&](Section& part) {
        options.github_secrets = read_secrets(part, "secret");
        options.github_entities = read_entities(part);
    });
    section.child("gitlab", [&](Section& part) {
        options.gitlab_tokens = read_secrets(part, "token");
        options.gitlab_signing_secrets = read_secrets(part, "signing_secret");
        options.gitlab_entities = read_entities(part);
    });
    section.child("jenkins", [&](Section& part) {
        options.jenkins_token = part.secret("token");
        options.jenkins_entities = read_entities(part);
    });
    section.child("argocd", [&](Section& part) {
        options.argocd_token = part.secret("token");
        options.argocd_entities = read_entities(part);
    });
}

schemas::Heartbeat read_expected(Section& section, const ingest::HeartbeatOptions& defaults) {
    schemas::Heartbeat beat;
    beat.name = section.text("name");
    if (beat.name.empty()) section.complain("name", "is missing");
    beat.every = section.seconds("every", defaults.every);
    beat.grace = section.seconds("grace", defaults.grace);
    if (beat.every < std::chrono::seconds{1}) section.complain("every", "must be at least 1s");
    beat.entity.value = section.text("entity");
    beat.summary = section.text("summary");
    if (const auto severity = schemas::parse_severity(section.text("severity", "critical"))) {
        beat.severity = *severity;
    } else {
        section.complain("severity", "must be info, warning or critical");
    }
    return beat;
}

void read_heartbeats(Section& section, ingest::HeartbeatOptions& options) {
    options.token = section.secret("token");
    options.every = section.seconds("every", options.every);
    options.grace = section.seconds("grace", options.grace);
    if (options.every < std::chrono::seconds{1}) section.complain("every", "must be at least 1s");
    if (section.has("watchdogs")) options.watchdogs = section.texts("watchdogs");
    options.watchdog_every = section.seconds("watchdog_every", options.watchdog_every);
    section.each("expected",
                 [&](Section& part) { options.expected.push_back(read_expected(part, options)); });
}

void read_kubernetes(Section& section, ingest::KubernetesWatch::Options& options) {
    options.server_url = section.text("server");
    if (options.server_url.empty()) section.complain("server", "is missing");
    if (const auto url = http::parse_url(options.server_url); !options.server_url.empty() && !url) {
        section.complain("server", url.error().message);
    }
    options.token = section.text("token");
    options.token_file = section.text("token_file");  // Read at every call: it is rotated.
    options.ca_file = section.text("ca_file");
    options.certificate_sha256 = section.text("certificate_sha256");
    if (const auto valid = http::parse_fingerprint(options.certificate_sha256);
        !options.certificate_sha256.empty() && !valid) {
        section.complain("certificate_sha256", valid.error().message);
    }
    options.name_space = section.text("namespace");
    options.timeout = section.duration("timeout", options.timeout, std::chrono::milliseconds{100});
}

// As a resource's attribute, or as a label of Prometheus.
bool is_label(std::string_view name) {
    const auto first = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !name.empty() && name.size() <= kLabelBytesMax && first(name.front()) &&
           std::ranges::all_of(
               name, [&](char c) { return first(c) || (c >= '0' && c <= '9') || c == '.'; });
}

ingest::SourceOptions read_source(Section& section) {
    ingest::SourceOptions source;
    source.name = section.text("name");
    check_name(section, source.name);
    source.tokens = read_secrets(section, "token");
    source.tenant = section.text("tenant");
    if (section.has("tenant") && (source.tenant.empty() || source.tenant.size() > kTenantBytesMax))
        section.complain("tenant", "must have 1 to 128 bytes");
    section.child("rate", [&](Section& rate) {
        source.requests_max = rate.number("requests", 0, 0, 1e9);
        source.bytes_max = static_cast<double>(rate.bytes("bytes", 0));
        source.items_max = rate.number("items", 0, 0, 1e12);
        source.burst = rate.seconds("burst", source.burst);
        if (source.burst < std::chrono::seconds{1}) rate.complain("burst", "must be at least 1s");
    });
    return source;
}

// Who sends telemetry.
void read_sources(Section& section, ingest::Sources::Options& options) {
    const auto series = [](Section& part, std::size_t fallback) {
        return static_cast<std::size_t>(
            part.integer("series_max", static_cast<std::int64_t>(fallback), 1, 100'000'000));
    };
    options.series_max = series(section, options.series_max);
    options.window = section.seconds("series_window", options.window);
    if (options.window < std::chrono::seconds{1}) {
        section.complain("series_window", "must be at least 1s");
    }
    options.tenant_label = section.text("tenant_label", options.tenant_label);
    if (!is_label(options.tenant_label)) {
        section.complain("tenant_label",
                         "must be 1 to 64 letters, digits, underscores or dots, and begin with no "
                         "digit or dot");
    }
    bool open = false;
    section.each("sources", [&](Section& part) {
        auto source = read_source(part);
        source.series_max = series(part, options.series_max);
        // A file that cannot be read was complained about.
        if (source.tokens.empty() && !part.has("token_file") && !part.has("token_old_file")) {
            if (open) part.complain("token", "only one source can be without");
            open = true;
        }
        for (const auto& other : options.sources) {
            if (other.name == source.name) {
                part.complain("name", "two sources are named '" + source.name + "'");
            }
            for (const auto& token : source.tokens) {
                if (std::ranges::find(other.tokens, token) != other.tokens.end()) {
                    part.complain("token", "is the same as that of '" + other.name + "'");
                }
            }
        }
        options.sources.push_back(std::move(source));
    });
}

void read_telemetry_sources(Section& section, ingest::Receivers::Options& options) {
    section.child("otlp", [&](Section& part) { options.otlp_token = part.secret("token"); });
    section.child("remote_write",
                  [&](Section& part) { options.remote_write_token = part.secret("token"); });
    section.child("loki", [&](Section& part) { options.loki_token = part.secret("token"); });
    section.child("json_lines",
                  [&](Section& part) { options.json_lines_token = part.secret("token"); });
}

void read_generic_sources(Section& section, ingest::Receivers::Options& options) {
    section.child("cloudevents", [&](Section& part) {
        options.cloudevents_token = part.secret("token");
        part.each("types", [&](Section& rule) {
            const auto type = rule.text("type");
            if (type.empty()) rule.complain("type", "is missing");
            options.cloudevents.push_back({type, read_mapping(rule)});
        });
    });
    section.each("webhooks", [&](Section& part) {
        ingest::GenericSource source;
        source.name = part.text("name");
        check_name(part, source.name);
        source.token = part.secret("token");
        source.mapping = read_mapping(part);
        const bool known = std::ranges::any_of(
            options.generic, [&](const auto& other) { return other.name == source.name; });
        if (known) part.complain("name", "two webhooks are named '" + source.name + "'");
        options.generic.push_back(std::move(source));
    });
}

ingest::ForeignTopic read_foreign_topic(Section& section) {
    ingest::ForeignTopic topic;
    topic.topic = section.text("topic");
    if (topic.topic.empty()) section.complain("topic", "is missing");
    const auto format = section.text("format", "json");
    if (format == "json") {
        topic.mapping = read_mapping(section);
    } else if (format == "cloudevents") {
        topic.format = ingest::ForeignFormat::kCloudEvents;
    } else if (format == "json_lines") {
        topic.format = ingest::ForeignFormat::kJsonLines;
    } else if (format == "otlp") {
        topic.format = ingest::ForeignFormat::kOtlp;
        const auto to = section.text("to");
        topic.signal = "vigie." + to;
        if (to != "metrics" && to != "logs" && to != "spans") {
            section.complain("to", "must be metrics, logs or spans");
        }
    } else {
        section.complain("format", "must be json, cloudevents, json_lines or otlp");
    }
    return topic;
}

}  // namespace

void read_identity(Section& section, Config& config) {
    std::vector<schemas::IdentityRule> rules;
    section.each("rules", [&](Section& part) {
        schemas::IdentityRule rule{part.text("entity"), part.text_map("when")};
        if (const auto good = schemas::IdentityRules::create({rule}); !good) {
            part.complain("entity", good.error().message);
            return;
        }
        for (const auto& [name, pattern] : rule.when) {
            if (pattern.empty()) part.complain("when", fmt::format("'{}' is empty", name));
        }
        rules.push_back(std::move(rule));
    });
    auto made = schemas::IdentityRules::create(rules);
    if (!made || made->empty()) return;
    config.detect.identity = std::make_shared<const schemas::IdentityRules>(*std::move(made));
    config.ingest.intake.identity = config.detect.identity;
}

void read_ingest(Section& section, Config& config) {
    auto& options = config.ingest;
    options.intake.body_bytes_max = static_cast<std::size_t>(
        section.bytes("body_max", static_cast<std::int64_t>(options.intake.body_bytes_max)));
    if (options.intake.body_bytes_max == 0 || options.intake.body_bytes_max > kBodyBytesMax) {
        section.complain("body_max", "must be from 1B to 7MiB: a body is one record of the log");
    }
    options.intake.in_flight_bytes_max = static_cast<std::size_t>(section.bytes(
        "in_flight_max", static_cast<std::int64_t>(options.intake.in_flight_bytes_max)));
    if (options.intake.in_flight_bytes_max < options.intake.body_bytes_max) {
        section.complain("in_flight_max", "must be at least body_max, or no such body could enter");
    }
    read_alert_sources(section, options);
    read_change_sources(section, options);
    read_telemetry_sources(section, options);
    read_sources(section, options.sources);
    options.intake.requests_remembered = static_cast<std::size_t>(section.integer(
        "requests_remembered", static_cast<std::int64_t>(options.intake.requests_remembered), 0,
        1'000'000));
    if (section.has("kubernetes")) {
        section.child("kubernetes",
                      [&](Section& part) { read_kubernetes(part, options.kubernetes); });
    }
    section.child("heartbeats", [&](Section& part) { read_heartbeats(part, options.heartbeats); });
    read_generic_sources(section, options);
    section.each("kafka", [&](Section& part) {
        if (!config.kafka) part.complain("", "is for a log on Kafka: set bus.kafka");
        config.foreign_topics.push_back(read_foreign_topic(part));
        if (config.kafka) config.kafka->foreign_topics.insert(config.foreign_topics.back().topic);
    });
}

}  // namespace vigie::app
