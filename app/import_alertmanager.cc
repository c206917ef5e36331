#include "app/import_alertmanager.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/route_config.h"
#include "app/section.h"
#include "app/yaml.h"
#include "schemas/events.h"
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

// On one line; JSON's lists and maps are YAML's.
std::string yaml_flow(const YamlNode& node) {
    if (node.kind == Kind::kScalar) return yaml_text(node.scalar);
    std::string out;
    for (const auto& item : node.items) out += (out.empty() ? "" : ", ") + yaml_flow(item);
    if (node.kind == Kind::kSequence) return "[" + out + "]";
    for (const auto& [key, value] : node.entries) {
        out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", yaml_text(key), yaml_flow(value));
    }
    return "{" + out + "}";
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

    // One of Vigie's routes.
    struct Flat {
        std::vector<std::string> matchers;
        std::string receiver;
        std::vector<std::string> mutes;
        bool go_on = false;
    };

    void read_root_route(const YamlNode& route);
    void read_route(const YamlNode& route, Flat flat, int depth);
    bool read_matchers(const YamlNode& route, std::vector<std::string>& out);
    bool add_matcher(const YamlNode& where, const schemas::Matcher& matcher,
                     std::vector<std::string>& out);
    bool read_mutes(const YamlNode& route, std::vector<std::string>& out);
    void read_intervals(const YamlNode& root, std::string_view key);
    void read_receivers(const YamlNode& receivers, const YamlNode& route);
    void read_receiver(const YamlNode& receiver);
    std::string yaml() const;
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
    std::vector<Flat> routes_;
    std::string receiver_;                          // That is being read
    std::map<std::string, std::string> intervals_;  // YAML by name
    std::set<std::string> intervals_used_;
    std::set<std::string> names_;                                  // Of channels
    std::map<std::string, std::vector<std::string>> channels_of_;  // Names, by receiver
    std::array<std::vector<std::string>, 3> channels_;             // slack, pagerduty, webhooks
};

// False when a time is not known: what it would mute is refused with it.
bool Import::read_mutes(const YamlNode& route, std::vector<std::string>& out) {
    if (const YamlNode* const active = route.find("active_time_intervals")) {
        refuse(*active,
               "active_time_intervals: only times in which notices wait can be expressed: "
               "write the other times as mute_time_intervals");
        return false;
    }
    bool good = true;
    each(route, "mute_time_intervals", [&](const YamlNode& name) {
        if (!intervals_.contains(name.scalar)) {
            refuse(name,
                   fmt::format("the time interval '{}' is not there, or was refused", name.scalar));
            good = false;
            return;
        }
        note(name, "mute_time_intervals: a notice of that time comes when it is over");
        intervals_used_.insert(name.scalar);
        out.push_back(name.scalar);
    });
    return good;
}

void Import::read_intervals(const YamlNode& root, std::string_view key) {
    each(root, key, [&](const YamlNode& item) {
        const auto name = scalar_at(item, "name");
        Complaints complaints(file_);
        std::string text;
        each(item, "time_intervals", [&](const YamlNode& interval) {
            Section section(&interval, fmt::format("{} '{}'", key, name), complaints);
            read_time_interval(section);
            text += fmt::format("        - {}\n", yaml_flow(interval));
        });
        const auto& wrong = complaints.all();
        imported_.refusals.insert(imported_.refusals.end(), wrong.begin(), wrong.end());
        if (wrong.empty() && !text.empty()) intervals_[name] = std::move(text);
    });
}

// Vigie's routes see an incident: how severe it is, and the entities of its symptoms.
bool Import::add_matcher(const YamlNode& where, const schemas::Matcher& matcher,
                         std::vector<std::string>& out) {
    schemas::Matcher made = matcher;
    if (matcher.name == "service" || matcher.name == "service_name") {
        made.name = schemas::kEntityLabel;
        made.value = matcher.regex ? fmt::format("service:(?:{})", matcher.value)
                                   : "service:" + matcher.value;
    } else if (matcher.name == "severity") {
        if (!matcher.regex && !schemas::parse_severity(matcher.value)) {
            refuse(where, fmt::format("severity '{}': Vigie's are info, warning and critical",
                                      matcher.value));
            return false;
        }
    } else if (matcher.name != schemas::kEntityLabel) {
        refuse(where, fmt::format("label '{}': Vigie's routes see severity and service of an "
                                  "incident, not the labels of its alerts",
                                  matcher.name));
        return false;
    }
    out.push_back(schemas::to_string(made));
    return true;
}

// False when one cannot be expressed.
bool Import::read_matchers(const YamlNode& route, std::vector<std::string>& out) {
    bool good = true;
    each(route, "matchers", [&](const YamlNode& text) {
        const auto parsed = schemas::parse_matchers(text.scalar);
        if (!parsed) {
            refuse(text, parsed.error().message);
            good = false;
            return;
        }
        for (const auto& matcher : *parsed) good = add_matcher(text, matcher, out) && good;
    });
    for (const auto* key : {"match", "match_re"}) {
        const YamlNode* const map = route.find(key);
        if (map == nullptr) continue;
        for (const auto& [name, value] : map->entries) {
            const bool regex = std::string_view(key) == "match_re";
            good = add_matcher(value, {name, value.scalar, regex, true}, out) && good;
        }
    }
    return good;
}

void Import::read_root_route(const YamlNode& route) {
    Flat root;
    root.receiver = scalar_at(route, "receiver");
    if (root.receiver.empty()) refuse(route, "route: has no receiver");
    for (const auto* key : {"group_by", "group_wait", "group_interval", "repeat_interval"}) {
        if (const YamlNode* const found = route.find(key)) {
            note(*found, fmt::format("{}: not needed: Vigie makes one incident of what belongs "
                                     "together, and tells of it when it changes",
                                     key));
        }
    }
    each(route, "routes", [&](const YamlNode& child) { read_route(child, root, 1); });
    root.mutes.clear();
    if (read_mutes(route, root.mutes)) routes_.push_back(std::move(root));
}

// Its children come before it: the first that is met decides. `flat` is the parent's.
void Import::read_route(const YamlNode& route, Flat flat, int depth) {
    const auto parent = flat;
    if (const auto to = scalar_at(route, "receiver"); !to.empty()) flat.receiver = to;
    flat.go_on = scalar_at(route, "continue") == "true";
    flat.mutes.clear();
    const bool mutes = route.find("mute_time_intervals") != nullptr ||
                       route.find("active_time_intervals") != nullptr;
    const bool has_children = route.find("routes") != nullptr;
    // It leads where its parent does, only grouped in another way.
    if (flat.receiver == parent.receiver && !mutes && !has_children && !flat.go_on && depth == 1) {
        each(route, "matchers", [this](const YamlNode& matcher) {
            if (const auto parsed = schemas::parse_matchers(matcher.scalar); !parsed) {
                refuse(matcher, parsed.error().message);
            }
        });
        return;
    }
    if (!read_matchers(route, flat.matchers)) return;
    if (flat.go_on && (depth > 1 || has_children)) {
        return refuse(route,
                      "continue: only a route without others, directly below the first, "
                      "can go on");
    }
    if (!read_mutes(route, flat.mutes)) return;
    each(route, "routes", [&](const YamlNode& child) { read_route(child, flat, depth + 1); });
    routes_.push_back(std::move(flat));
}

std::string Import::begin_channel(const YamlNode& config, std::string_view kind) {
    std::string name = receiver_;
    for (int i = 1; !names_.insert(name).second; ++i) {
        name = i == 1 ? fmt::format("{}-{}", receiver_, kind)
                      : fmt::format("{}-{}-{}", receiver_, kind, i);
    }
    channels_of_[receiver_].push_back(name);
    std::string channel = fmt::format("    - name: {}\n", yaml_text(name));
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

void Import::read_receivers(const YamlNode& receivers, const YamlNode& route) {
    std::set<std::string> wanted;
    for (const auto& flat : routes_) wanted.insert(flat.receiver);
    for (const auto& receiver : receivers.items) {
        receiver_ = scalar_at(receiver, "name");
        if (wanted.erase(receiver_) == 0) continue;
        channels_of_[receiver_];  // Perhaps nobody.
        read_receiver(receiver);
    }
    for (const auto& name : wanted) refuse(route, fmt::format("there is no receiver '{}'", name));
}

std::string Import::yaml() const {
    constexpr std::array<const char*, 3> kNames{"slack", "pagerduty", "webhooks"};
    std::string out;
    for (std::size_t i = 0; i < channels_.size(); ++i) {
        if (channels_[i].empty()) continue;
        out += fmt::format("  {}:\n", kNames[i]);
        for (const auto& channel : channels_[i]) out += channel;
    }
    // One receiver for everything, always: what Vigie does without being told.
    const bool plain = routes_.size() == 1 && routes_[0].mutes.empty();
    if (!plain && !routes_.empty()) out += "  routes:\n";
    for (const auto& route : routes_) {
        if (plain) break;
        const auto list = [](const std::vector<std::string>& texts) {
            return schemas::dump_json(schemas::Json(texts));
        };
        const auto channels = channels_of_.find(route.receiver);
        out += fmt::format("    - channels: {}\n",
                           channels == channels_of_.end() ? "[]" : list(channels->second));
        if (!route.matchers.empty())
            out += fmt::format("      matchers: {}\n", list(route.matchers));
        if (!route.mutes.empty()) {
            out += fmt::format("      mute_time_intervals: {}\n", list(route.mutes));
        }
        if (route.go_on) out += "      continue: true\n";
    }
    if (!intervals_used_.empty()) out += "  time_intervals:\n";
    for (const auto& name : intervals_used_) {
        out += fmt::format("    - name: {}\n      time_intervals:\n{}", yaml_text(name),
                           intervals_.at(name));
    }
    return out.empty() ? "notify: {}\n" : "notify:\n" + out;
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
    read_intervals(root, "time_intervals");
    read_intervals(root, "mute_time_intervals");
    read_root_route(*route);
    read_receivers(*receivers, *route);
    each(root, "inhibit_rules", [this](const YamlNode& rule) {
        refuse(rule,
               "an inhibit rule: name the dependency in the inventory instead; a symptom joins "
               "the incident of what it depends on, and pages nobody again");
    });
    if (const YamlNode* const templates = root.find("templates")) {
        note(*templates, "templates: not used, Vigie words its notices");
    }
    imported_.yaml = yaml();
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
