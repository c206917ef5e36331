#include "app/outward_config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "app/route_config.h"
#include "http/client.h"
#include "schemas/events.h"

namespace vigie::app {

namespace {

using std::chrono::milliseconds;

std::string required(Section& section, std::string_view key) {
    std::string value = section.text(key);
    if (value.empty()) section.complain(key, "is missing");
    return value;
}

// What would otherwise come to light with the first action.
void check_peer(Section& section, const std::string& server, const std::string& fingerprint) {
    if (const auto url = http::parse_url(server); !server.empty() && !url) {
        section.complain("server", url.error().message);
    }
    if (fingerprint.empty()) return;
    if (const auto valid = http::parse_fingerprint(fingerprint); !valid) {
        section.complain("certificate_sha256", valid.error().message);
    }
}

actions::KubernetesOptions read_kubernetes(Section& section) {
    actions::KubernetesOptions options;
    options.server_url = required(section, "server");
    options.token = section.text("token");
    options.token_file = section.text("token_file");  // Read at every call: it is rotated.
    options.ca_file = section.text("ca_file");
    options.certificate_sha256 = section.text("certificate_sha256");
    options.timeout = section.duration("timeout", options.timeout, milliseconds{100});
    options.replicas_min = section.integer("replicas_min", options.replicas_min, 0, 100'000);
    options.replicas_max = section.integer("replicas_max", options.replicas_max, 1, 100'000);
    check_peer(section, options.server_url, options.certificate_sha256);
    return options;
}

actions::ProxmoxOptions read_proxmox(Section& section) {
    actions::ProxmoxOptions options;
    options.server_url = required(section, "server");
    options.token = section.text("token");
    options.token_file = section.text("token_file");
    options.ca_file = section.text("ca_file");
    options.certificate_sha256 = section.text("certificate_sha256");
    options.timeout = section.duration("timeout", options.timeout, milliseconds{100});
    options.task_timeout =
        section.duration("task_timeout", options.task_timeout, milliseconds{1000});
    options.memory_mib_max =
        section.integer("memory_mib_max", options.memory_mib_max, 16, 16'777'216);
    check_peer(section, options.server_url, options.certificate_sha256);
    return options;
}

actions::HttpTarget read_http_target(Section& section) {
    actions::HttpTarget target;
    target.name = required(section, "name");
    target.method = section.text("method", target.method);
    target.url = section.secret("url");
    for (auto& [name, value] : section.text_map("headers"))
        target.headers.emplace_back(name, value);
    if (std::string token = section.secret("token"); !token.empty()) {
        target.headers.emplace_back("Authorization", "Bearer " + token);
    }
    target.body = section.text("body");
    target.content_type = section.text("content_type", target.content_type);
    target.look_url = section.text("look_url");
    if (const auto risk = schemas::parse_risk(section.text("risk", "irreversible"))) {
        target.risk = *risk;
    } else {
        section.complain("risk", "must be read, reversible, compensable or irreversible");
    }
    target.ca_file = section.text("ca_file");
    target.timeout = section.duration("timeout", target.timeout, milliseconds{100});
    return target;
}

void read_channel(Section& section, notify::ChannelOptions& channel) {
    channel.name = section.text("name", channel.name);
    channel.kinds = section.texts("kinds");
    channel.timeout = section.duration("timeout", channel.timeout, milliseconds{100});
    channel.ca_file = section.text("ca_file");
}

void read_notify(Section& section, OutwardConfig& config) {
    config.link_prefix = section.text("link_prefix");
    config.retry_wait_min =
        section.duration("retry_wait_min", config.retry_wait_min, milliseconds{10});
    section.each("slack", [&config](Section& part) {
        auto& options = config.slack.emplace_back();
        read_channel(part, options.channel);
        options.url = part.secret("url");
    });
    section.each("pagerduty", [&config](Section& part) {
        auto& options = config.pagerduty.emplace_back();
        read_channel(part, options.channel);
        options.routing_key = part.secret("routing_key");
        options.url = part.text("url", options.url);
        options.source = part.text("source", options.source);
    });
    section.each("webhooks", [&config](Section& part) {
        auto& options = config.webhooks.emplace_back();
        read_channel(part, options.channel);
        options.url = part.secret("url");
        options.secret = part.secret("secret");
        for (auto& [name, value] : part.text_map("headers")) {
            options.headers.emplace_back(name, value);
        }
    });
}

// Rows of undelivered notices and metrics go by the channel's name.
void check_names(Section& section, const OutwardConfig& config) {
    std::set<std::string> names;
    const auto add = [&](const notify::ChannelOptions& channel) {
        if (!names.insert(channel.name).second) {
            section.complain("", "two channels are named '" + channel.name + "'");
        }
    };
    for (const auto& options : config.slack) add(options.channel);
    for (const auto& options : config.pagerduty) add(options.channel);
    for (const auto& options : config.webhooks) add(options.channel);
}

}  // namespace

void read_outward(Section& root, OutwardConfig& config) {
    root.child("actions", [&config](Section& section) {
        config.action_threads =
            static_cast<unsigned>(section.integer("threads", config.action_threads, 1, 64));
        config.orphan_wait = section.seconds("orphan_wait", config.orphan_wait);
        config.action_timeout =
            section.duration("timeout", config.action_timeout, milliseconds{1000});
        config.settle_wait = section.duration("settle_wait", config.settle_wait, milliseconds{0});
        if (section.has("kubernetes")) {
            section.child("kubernetes",
                          [&config](Section& part) { config.kubernetes = read_kubernetes(part); });
        }
        if (section.has("proxmox")) {
            section.child("proxmox",
                          [&config](Section& part) { config.proxmox = read_proxmox(part); });
        }
        section.each("http", [&config](Section& part) {
            config.http_targets.push_back(read_http_target(part));
        });
    });
    root.child("notify", [&config](Section& section) {
        read_notify(section, config);
        check_names(section, config);
        read_routes(section, config);
    });
}

}  // namespace vigie::app
