#include "app/import_alertmanager.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/section.h"
#include "app/yaml.h"
#include "schemas/json.h"
#include "schemas/matchers.h"

namespace vigie::app {

namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kFileBytesMax = 4 * 1024 * 1024;

// JSON's strings are YAML's.
std::string yaml_text(const std::string& text) {
    return schemas::dump_json(schemas::Json(text));
}

std::string scalar_at(const YamlNode& node, std::string_view key) {
    const YamlNode* const found = node.find(key);
    return found != nullptr && found->kind == Kind::kScalar ? found->scalar : std::string();
}

class Import {
public:
    explicit Import(std::string file) : file_(std::move(file)) {}

    Result<Imported> run(const YamlNode& root);

private:
    void note(const YamlNode& where, std::string_view what) { add(imported_.notes, where, what); }
    void refuse(const YamlNode& where, std::string_view what) {
        add(imported_.refusals, where, what);
    }
    void add(std::vector<std::string>& lines, const YamlNode& where, std::string_view what) {
        lines.push_back(fmt::format("{}:{}:{}: {}", file_, where.line, where.column, what));
    }
    static void each(const YamlNode& node, std::string_view key,
                     const std::function<void(const YamlNode&)>& visit) {
        const YamlNode* const list = node.find(key);
        if (list == nullptr || list->kind != Kind::kSequence) return;
        for (const auto& item : list->items) visit(item);
    }

    void read_root_route(const YamlNode& route);
    void read_child_route(const YamlNode& route);
    void read_times(const YamlNode& route);
    void read_receiver(const YamlNode& receiver);
    void read_slack(const YamlNode& config);
    void read_pagerduty(const YamlNode& config);
    void read_webhook(const YamlNode& config);
    void read_http_config(const YamlNode& config, std::string& channel);
    std::string begin_channel(const YamlNode& config, std::string_view kind);
    bool take_secret(const YamlNode& config, std::string_view theirs, std::string_view ours,
                     std::string& channel);

    const std::string file_;
    Imported imported_;
    const YamlNode* global_ = nullptr;
    std::string receiver_;
    std::array<std::vector<std::string>, 3> channels_;  // slack, pagerduty, webhooks
};

void Import::read_times(const YamlNode& route) {
    for (const auto* key : {"mute_time_intervals", "active_time_intervals"}) {
        if (const YamlNode* const found = route.find(key)) {
            refuse(*found, fmt::format("{}: Vigie has no recurring times: set a silence, which may "
                                       "begin later",
                                       key));
        }
    }
}

void Import::read_root_route(const YamlNode& route) {
    receiver_ = scalar_at(route, "receiver");
    if (receiver_.empty()) refuse(route, "route: has no receiver");
    for (const auto* key : {"group_by", "group_wait", "group_interval", "repeat_interval"}) {
        if (const YamlNode* const found = route.find(key)) {
            note(*found, fmt::format("{}: not needed: Vigie makes one incident of what belongs "
                                     "together, and tells of it when it changes",
                                     key));
        }
    }
    read_times(route);
    each(route, "routes", [this](const YamlNode& child) { read_child_route(child); });
}

// One that leads to the same receiver only grouped in another way.
void Import::read_child_route(const YamlNode& route) {
    const auto to = scalar_at(route, "receiver");
    each(route, "matchers", [this](const YamlNode& matcher) {
        if (const auto parsed = schemas::parse_matchers(matcher.scalar); !parsed) {
            refuse(matcher, parsed.error().message);
        }
    });
    if (!to.empty() && to != receiver_) {
        refuse(route,
               fmt::format("a route to the receiver '{}': Vigie's channels are chosen by the "
                           "kind of a notice, not by labels",
                           to));
    }
    read_times(route);
    each(route, "routes", [this](const YamlNode& child) { read_child_route(child); });
}

std::string Import::begin_channel(const YamlNode& config, std::string_view kind) {
    std::size_t number = 0;
    for (const auto& channels : channels_) number += channels.size();
    std::string channel =
        fmt::format("    - name: {}\n",
                    yaml_text(number == 0 ? receiver_ : fmt::format("{}-{}", receiver_, kind)));
    if (scalar_at(config, "send_resolved") == "false") {
        channel += "      kinds: [page, approval, update]\n";
    }
    return channel;
}

// `theirs` or `theirs`_file of the receiver, else of the global part.
bool Import::take_secret(const YamlNode& config, std::string_view theirs, std::string_view ours,
                         std::string& channel) {
    for (const auto* suffix : {"", "_file"}) {
        const auto value = scalar_at(config, fmt::format("{}{}", theirs, suffix));
        if (value.empty()) continue;
        channel += fmt::format("      {}{}: {}\n", ours, suffix, yaml_text(value));
        return true;
    }
    return false;
}

void Import::read_slack(const YamlNode& config) {
    auto channel = begin_channel(config, "slack");
    bool known = take_secret(config, "api_url", "url", channel);
    if (!known && global_ != nullptr)
        known = take_secret(*global_, "slack_api_url", "url", channel);
    if (!known) return refuse(config, "slack_configs: there is no api_url");
    if (const YamlNode* const to = config.find("channel")) {
        note(*to, "channel: the webhook's own channel is used");
    }
    for (const auto* key : {"title", "text", "actions", "fields"}) {
        if (const YamlNode* const found = config.find(key)) {
            note(*found, fmt::format("{}: templates are not used, Vigie words its notices", key));
        }
    }
    channels_[0].push_back(std::move(channel));
}

void Import::read_pagerduty(const YamlNode& config) {
    auto channel = begin_channel(config, "pagerduty");
    if (!take_secret(config, "routing_key", "routing_key", channel)) {
        return refuse(config,
                      "pagerduty_configs: there is no routing_key: the older service_key "
                      "speaks a protocol that Vigie does not");
    }
    auto url = scalar_at(config, "url");
    if (url.empty() && global_ != nullptr) url = scalar_at(*global_, "pagerduty_url");
    if (!url.empty()) channel += fmt::format("      url: {}\n", yaml_text(url));
    channels_[1].push_back(std::move(channel));
}

void Import::read_http_config(const YamlNode& config, std::string& channel) {
    const YamlNode* const http = config.find("http_config");
    if (http == nullptr) return;
    for (const auto& [key, value] : http->entries) {
        const auto credentials = scalar_at(value, "credentials");
        if (key == "authorization" && !credentials.empty()) {
            const auto type = scalar_at(value, "type");
            channel += fmt::format(
                "      headers: {{Authorization: {}}}\n",
                yaml_text(fmt::format("{} {}", type.empty() ? "Bearer" : type, credentials)));
        } else if (key == "tls_config" && !scalar_at(value, "ca_file").empty() &&
                   value.entries.size() == 1) {
            channel += fmt::format("      ca_file: {}\n", yaml_text(scalar_at(value, "ca_file")));
        } else if (key != "follow_redirects" && key != "enable_http2") {
            refuse(value, fmt::format("http_config.{}: cannot be expressed", key));
        }
    }
}

void Import::read_webhook(const YamlNode& config) {
    auto channel = begin_channel(config, "webhook");
    if (!take_secret(config, "url", "url", channel)) {
        return refuse(config, "webhook_configs: there is no url");
    }
    read_http_config(config, channel);
    note(config, "webhook_configs: what is posted is Vigie's own message, not Alertmanager's");
    channels_[2].push_back(std::move(channel));
}

void Import::read_receiver(const YamlNode& receiver) {
    for (const auto& [key, value] : receiver.entries) {
        if (key == "name") continue;
        const auto visit = [&](void (Import::*read)(const YamlNode&)) {
            for (const auto& item : value.items) (this->*read)(item);
        };
        if (key == "slack_configs") {
            visit(&Import::read_slack);
        } else if (key == "pagerduty_configs") {
            visit(&Import::read_pagerduty);
        } else if (key == "webhook_configs") {
            visit(&Import::read_webhook);
        } else {
            refuse(value,
                   fmt::format("{}: Vigie tells people by Slack, PagerDuty and webhooks", key));
        }
    }
}

Result<Imported> Import::run(const YamlNode& root) {
    const YamlNode* const route = root.find("route");
    const YamlNode* const receivers = root.find("receivers");
    if (route == nullptr || receivers == nullptr || receivers->kind != Kind::kSequence) {
        return fail(
            ErrorKind::kInvalid,
            fmt::format("{}: this is no configuration of Alertmanager: 'route' or 'receivers' "
                        "is missing",
                        file_));
    }
    global_ = root.find("global");
    read_root_route(*route);
    bool found = false;
    for (const auto& receiver : receivers->items) {
        if (scalar_at(receiver, "name") != receiver_) continue;
        found = true;
        read_receiver(receiver);
    }
    if (!found) refuse(*route, fmt::format("there is no receiver '{}'", receiver_));
    each(root, "inhibit_rules", [this](const YamlNode& rule) {
        refuse(rule,
               "an inhibit rule: name the dependency in the inventory instead; a symptom joins "
               "the incident of what it depends on, and pages nobody again");
    });
    if (const YamlNode* const templates = root.find("templates")) {
        note(*templates, "templates: not used, Vigie words its notices");
    }
    constexpr std::array<const char*, 3> kNames{"slack", "pagerduty", "webhooks"};
    for (std::size_t i = 0; i < channels_.size(); ++i) {
        if (channels_[i].empty()) continue;
        if (imported_.yaml.empty()) imported_.yaml = "notify:\n";
        imported_.yaml += fmt::format("  {}:\n", kNames[i]);
        for (const auto& channel : channels_[i]) imported_.yaml += channel;
    }
    if (imported_.yaml.empty()) imported_.yaml = "notify: {}\n";
    return std::move(imported_);
}

}  // namespace

Result<Imported> import_alertmanager(const std::string& text, const std::string& file) {
    const auto root = parse_yaml(text);
    if (!root) return fail(ErrorKind::kInvalid, fmt::format("{}: {}", file, root.error().message));
    return Import(file).run(*root);
}

int run_import_alertmanager(const std::string& file) {
    const auto text = read_file(file, kFileBytesMax);
    const auto imported = text ? import_alertmanager(*text, file) : fail(text.error());
    if (!imported) {
        fmt::print(stderr, "vigie: {}\n", imported.error().message);
        return 1;
    }
    fmt::print("{}", imported->yaml);
    for (const auto& line : imported->notes) fmt::print(stderr, "note: {}\n", line);
    for (const auto& line : imported->refusals) fmt::print(stderr, "refused: {}\n", line);
    if (imported->refusals.empty()) return 0;
    fmt::print(stderr, "vigie: {} parts cannot be expressed; the rest is above\n",
               imported->refusals.size());
    return 1;
}

}  // namespace vigie::app
