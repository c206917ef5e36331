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
#include "core/time.h"
#include "schemas/events.h"
#include "schemas/json.h"
#include "schemas/matchers.h"

namespace vigie::app {

namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kFileBytesMax = 4 * 1024 * 1024;
constexpr std::chrono::milliseconds kTimeoutMin{100};  // Of a channel (app/outward_config.cc)

// JSON's strings are YAML's.
std::string yaml_text(const std::string& text) {
    return schemas::dump_json(schemas::Json(text));
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

    // What is read says so: done as a whole, or opened, to be read by its keys. The rest gets a
    // line at the end.
    void done(const YamlNode& node) { done_.insert(&node); }
    void open(const YamlNode& node) { opened_.insert(&node); }
    const YamlNode* get(const YamlNode& node, std::string_view key) {
        const YamlNode* const found = node.find(key);
        if (found != nullptr) done(*found);
        return found;
    }
    std::string scalar_at(const YamlNode& node, std::string_view key) {
        const YamlNode* const found = node.find(key);
        if (found == nullptr || found->kind != Kind::kScalar) return {};
        done(*found);
        return found->scalar;
    }
    void each(const YamlNode& node, std::string_view key,
              const std::function<void(const YamlNode&)>& visit) {
        const YamlNode* const list = node.find(key);
        if (list == nullptr || list->kind != Kind::kSequence) return;
        open(*list);
        for (const auto& item : list->items) {
            open(item);
            visit(item);
        }
    }
    void tell_unread(const YamlNode& node, const std::string& path);
    void unread(const YamlNode& node, std::string_view path);

    // One of Vigie's routes.
    struct Flat {
        std::vector<std::string> matchers;
        std::string receiver;
        std::vector<std::string> mutes;
        bool go_on = false;
    };

    // One of Vigie's channels, while it is read.
    struct Channel {
        std::string name;
        std::string text;
    };

    void read_root_route(const YamlNode& route);
    void refuse_below(const YamlNode& route);
    void note_grouping(const YamlNode& route);
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
    void read_timeout(const YamlNode& config, std::string& channel);
    Channel begin_channel(const YamlNode& config, std::string_view kind);
    void keep_channel(std::size_t kind, Channel channel);
    void refuse_channel(const YamlNode& config, const Channel& channel, std::string_view what);
    bool take_secret(const YamlNode& config, std::string_view theirs, std::string_view ours,
                     std::string& channel);
    void check_path(const YamlNode& where, std::string_view path);

    const std::string file_;
    Imported imported_;
    std::set<const YamlNode*> done_;
    std::set<const YamlNode*> opened_;
    const YamlNode* global_ = nullptr;
    std::vector<Flat> routes_;
    std::string receiver_;  // That is being read
    struct Interval {
        std::string text;  // YAML
        const YamlNode* where = nullptr;
    };
    std::map<std::string, Interval> intervals_;  // By name
    std::set<std::string> intervals_used_;
    std::set<std::string> names_;                                  // Of channels
    std::map<std::string, std::vector<std::string>> channels_of_;  // Names, by receiver
    std::array<std::vector<std::string>, 3> channels_;             // slack, pagerduty, webhooks
};

// False when a time is not known: what it would mute is refused with it.
bool Import::read_mutes(const YamlNode& route, std::vector<std::string>& out) {
    if (const YamlNode* const active = get(route, "active_time_intervals")) {
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
            done(interval);
        });
        const auto& wrong = complaints.all();
        imported_.refusals.insert(imported_.refusals.end(), wrong.begin(), wrong.end());
        if (!wrong.empty()) return;
        if (text.empty()) {
            return refuse(item, fmt::format("{} '{}': has no time_intervals", key, name));
        }
        intervals_[name] = {std::move(text), &item};
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
        const YamlNode* const map = get(route, key);
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
    note_grouping(route);
    each(route, "routes", [&](const YamlNode& child) { read_route(child, root, 1); });
    root.mutes.clear();
    if (read_mutes(route, root.mutes)) routes_.push_back(std::move(root));
}

void Import::note_grouping(const YamlNode& route) {
    for (const auto* key : {"group_by", "group_wait", "group_interval", "repeat_interval"}) {
        if (const YamlNode* const found = get(route, key)) {
            note(*found, fmt::format("{}: not needed: Vigie makes one incident of what belongs "
                                     "together, and tells of it when it changes",
                                     key));
        }
    }
}

// The route itself was refused.
void Import::refuse_below(const YamlNode& route) {
    if (const YamlNode* const below = get(route, "routes")) {
        refuse(*below, "routes: the route that they are below is refused, and so are they");
    }
    done(route);
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
    note_grouping(route);
    // It leads where its parent does, only grouped in another way.
    if (flat.receiver == parent.receiver && !mutes && !has_children && !flat.go_on && depth == 1) {
        each(route, "matchers", [this](const YamlNode& matcher) {
            if (const auto parsed = schemas::parse_matchers(matcher.scalar); !parsed) {
                refuse(matcher, parsed.error().message);
            }
        });
        get(route, "match");
        get(route, "match_re");
        return;
    }
    if (!read_matchers(route, flat.matchers)) return refuse_below(route);
    if (flat.go_on && (depth > 1 || has_children)) {
        refuse(route, "continue: only a route without others, directly below the first, can go on");
        return refuse_below(route);
    }
    if (!read_mutes(route, flat.mutes)) return refuse_below(route);
    each(route, "routes", [&](const YamlNode& child) { read_route(child, flat, depth + 1); });
    routes_.push_back(std::move(flat));
}

Import::Channel Import::begin_channel(const YamlNode& config, std::string_view kind) {
    std::string name = receiver_;
    for (int i = 1; !names_.insert(name).second; ++i) {
        name = i == 1 ? fmt::format("{}-{}", receiver_, kind)
                      : fmt::format("{}-{}-{}", receiver_, kind, i);
    }
    Channel channel{name, fmt::format("    - name: {}\n", yaml_text(name))};
    if (scalar_at(config, "send_resolved") == "false") {
        channel.text += "      kinds: [page, approval, update]\n";
    }
    return channel;
}

void Import::keep_channel(std::size_t kind, Channel channel) {
    channels_of_[receiver_].push_back(std::move(channel.name));
    channels_[kind].push_back(std::move(channel.text));
}

void Import::refuse_channel(const YamlNode& config, const Channel& channel, std::string_view what) {
    names_.erase(channel.name);
    refuse(config, what);
    done(config);
}

void Import::check_path(const YamlNode& where, std::string_view path) {
    if (path.starts_with('/')) return;
    note(where, fmt::format("'{}': Vigie looks for it in the folder that it is started in, not "
                            "beside this file",
                            path));
}

// `theirs` or `theirs`_file of the receiver, else of the global part.
bool Import::take_secret(const YamlNode& config, std::string_view theirs, std::string_view ours,
                         std::string& channel) {
    for (const auto* suffix : {"", "_file"}) {
        const auto key = fmt::format("{}{}", theirs, suffix);
        const auto value = scalar_at(config, key);
        if (value.empty()) continue;
        channel += fmt::format("      {}{}: {}\n", ours, suffix, yaml_text(value));
        if (*suffix != '\0') check_path(*config.find(key), value);
        return true;
    }
    return false;
}

void Import::read_slack(const YamlNode& config) {
    auto channel = begin_channel(config, "slack");
    bool known = take_secret(config, "api_url", "url", channel.text);
    if (!known && global_ != nullptr)
        known = take_secret(*global_, "slack_api_url", "url", channel.text);
    if (!known) return refuse_channel(config, channel, "slack_configs: there is no api_url");
    if (const YamlNode* const to = get(config, "channel")) {
        note(*to, "channel: the webhook's own channel is used");
    }
    read_timeout(config, channel.text);
    keep_channel(0, std::move(channel));
}

void Import::read_pagerduty(const YamlNode& config) {
    auto channel = begin_channel(config, "pagerduty");
    if (!take_secret(config, "routing_key", "routing_key", channel.text)) {
        return refuse_channel(config, channel,
                              "pagerduty_configs: there is no routing_key: the older service_key "
                              "speaks a protocol that Vigie does not");
    }
    auto url = scalar_at(config, "url");
    if (url.empty() && global_ != nullptr) url = scalar_at(*global_, "pagerduty_url");
    if (!url.empty()) channel.text += fmt::format("      url: {}\n", yaml_text(url));
    read_timeout(config, channel.text);
    keep_channel(1, std::move(channel));
}

void Import::read_timeout(const YamlNode& config, std::string& channel) {
    const YamlNode* const timeout = get(config, "timeout");
    if (timeout == nullptr) return;
    const auto value = parse_duration(timeout->scalar);
    if (value && *value >= kTimeoutMin) {
        channel += fmt::format("      timeout: {}\n", to_string(*value));
    } else {
        refuse(*timeout, fmt::format("timeout '{}': Vigie's is from 100ms on", timeout->scalar));
    }
}

void Import::read_http_config(const YamlNode& config, std::string& channel) {
    const YamlNode* const http = get(config, "http_config");
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
            check_path(value, scalar_at(value, "ca_file"));
        } else if (key != "follow_redirects" && key != "enable_http2") {
            refuse(value, fmt::format("http_config.{}: cannot be expressed", key));
        }
    }
}

void Import::read_webhook(const YamlNode& config) {
    auto channel = begin_channel(config, "webhook");
    if (!take_secret(config, "url", "url", channel.text)) {
        return refuse_channel(config, channel, "webhook_configs: there is no url");
    }
    read_http_config(config, channel.text);
    read_timeout(config, channel.text);
    note(config, "webhook_configs: what is posted is Vigie's own message, not Alertmanager's");
    keep_channel(2, std::move(channel));
}

void Import::read_receiver(const YamlNode& receiver) {
    bool any = false;
    for (const auto& [key, value] : receiver.entries) {
        if (key == "name") continue;
        any = any || !value.items.empty();
        const auto visit = [&, &name = key](void (Import::*read)(const YamlNode&)) {
            each(receiver, name, [&](const YamlNode& item) { (this->*read)(item); });
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
            done(value);
        }
    }
    if (any && channels_of_[receiver_].empty()) {
        refuse(receiver, fmt::format("receiver '{}': nothing is left of it, so that what is routed "
                                     "to it reaches nobody",
                                     receiver_));
    }
}

void Import::read_receivers(const YamlNode& receivers, const YamlNode& route) {
    std::set<std::string> wanted;
    for (const auto& flat : routes_) wanted.insert(flat.receiver);
    open(receivers);
    for (const auto& receiver : receivers.items) {
        open(receiver);
        receiver_ = scalar_at(receiver, "name");
        if (wanted.erase(receiver_) == 0) {
            note(receiver, fmt::format("receiver '{}': not used, as no route that is printed "
                                       "leads to it",
                                       receiver_));
            done(receiver);
            continue;
        }
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
    const bool plain =
        routes_.size() == 1 && routes_[0].mutes.empty() && routes_[0].matchers.empty();
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
                           intervals_.at(name).text);
    }
    return out.empty() ? "notify: {}\n" : "notify:\n" + out;
}

void Import::unread(const YamlNode& node, std::string_view path) {
    const bool http = path.ends_with("http_config");
    if (path.starts_with("global.") && !http) {
        note(node, fmt::format("{}: not used by any channel that is printed", path));
    } else if (!http && (path.find("slack_configs[].") != std::string_view::npos ||
                         path.find("pagerduty_configs[].") != std::string_view::npos)) {
        note(node, fmt::format("{}: not used, Vigie words its notices", path));
    } else if (path.ends_with("webhook_configs[].max_alerts")) {
        note(node, fmt::format("{}: not needed: a message is about one incident", path));
    } else {
        refuse(node, fmt::format("{}: nothing can be made of it", path));
    }
}

void Import::tell_unread(const YamlNode& node, const std::string& path) {
    if (done_.contains(&node)) return;
    if (!opened_.contains(&node)) return unread(node, path);
    for (const auto& item : node.items) tell_unread(item, path + "[]");
    for (const auto& [key, value] : node.entries) {
        tell_unread(value, path.empty() ? key : fmt::format("{}.{}", path, key));
    }
}

Result<Imported> Import::run(const YamlNode& root) {
    open(root);
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
    if (global_ != nullptr) open(*global_);
    open(*route);
    read_intervals(root, "time_intervals");
    read_intervals(root, "mute_time_intervals");
    read_root_route(*route);
    read_receivers(*receivers, *route);
    each(root, "inhibit_rules", [this](const YamlNode& rule) {
        refuse(rule,
               "an inhibit rule: name the dependency in the inventory instead; a symptom joins "
               "the incident of what it depends on, and pages nobody again");
        done(rule);
    });
    if (const YamlNode* const templates = get(root, "templates")) {
        note(*templates, "templates: not used, Vigie words its notices");
    }
    for (const auto& [name, interval] : intervals_) {
        if (intervals_used_.contains(name)) continue;
        note(*interval.where, fmt::format("the time interval '{}': no route that is printed uses "
                                          "it",
                                          name));
    }
    tell_unread(root, "");
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
    const auto count = imported->refusals.size();
    fmt::print(stderr, "vigie: {} {} cannot be expressed; the rest is above\n", count,
               count == 1 ? "part" : "parts");
    return 1;
}

}  // namespace vigie::app
