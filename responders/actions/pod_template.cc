#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>

#include "core/redact.h"
#include "responders/actions/deployment.h"
#include "schemas/json.h"

namespace vigie::actions {

namespace {

using schemas::Json;
using Lines = std::vector<std::string>;

constexpr std::size_t kValueBytesMax = 200;

const Json& nothing() {
    static const Json kNothing;
    return kNothing;
}

const Json& member(const Json& object, const std::string& key) {
    if (!object.is_object()) return nothing();
    const auto it = object.find(key);
    return it == object.end() ? nothing() : *it;
}

// The objects of a list by their "name".
std::map<std::string, Json> by_name(const Json& list) {
    std::map<std::string, Json> out;
    if (!list.is_array()) return out;
    for (const auto& item : list) {
        out.emplace(schemas::string_at(item, "/name").value_or(""), item);
    }
    return out;
}

std::set<std::string> keys_of(const std::map<std::string, Json>& a,
                              const std::map<std::string, Json>& b) {
    std::set<std::string> keys;
    for (const auto& [key, value] : a) keys.insert(key);
    for (const auto& [key, value] : b) keys.insert(key);
    return keys;
}

std::map<std::string, Json> members(const Json& object) {
    std::map<std::string, Json> out;
    if (!object.is_object()) return out;
    for (const auto& [key, value] : object.items()) out.emplace(key, value);
    return out;
}

// Values of variables with such names stay in the cluster.
bool looks_secret(std::string_view name) {
    constexpr std::array<std::string_view, 8> kMarks{"PASS",       "SECRET", "TOKEN", "KEY",
                                                     "CREDENTIAL", "AUTH",   "DSN",   "_URL"};
    std::string upper(name);
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return std::any_of(kMarks.begin(), kMarks.end(),
                       [&upper](auto mark) { return upper.find(mark) != std::string::npos; });
}

std::string shown_value(const std::string& name, const Json& variable) {
    if (looks_secret(name)) return "(not shown)";
    const auto& value = member(variable, "value");
    if (value.is_string()) return one_line(value.get<std::string>(), kValueBytesMax);
    if (variable.contains("valueFrom")) return "(from elsewhere)";
    return "";
}

void diff_variables(const std::string& container, const Json& from, const Json& to, Lines& lines) {
    const auto before = by_name(from);
    const auto after = by_name(to);
    for (const auto& name : keys_of(before, after)) {
        const auto old_one = before.find(name);
        const auto new_one = after.find(name);
        if (old_one != before.end() && new_one != after.end() &&
            old_one->second == new_one->second) {
            continue;
        }
        if (old_one != before.end()) {
            lines.push_back(fmt::format("- {}: env {}={}", container, name,
                                        shown_value(name, old_one->second)));
        }
        if (new_one != after.end()) {
            lines.push_back(fmt::format("+ {}: env {}={}", container, name,
                                        shown_value(name, new_one->second)));
        }
    }
}

void diff_container(const std::string& name, const Json& from, const Json& to, Lines& lines) {
    const auto before = members(from);
    const auto after = members(to);
    for (const auto& key : keys_of(before, after)) {
        const auto& old_value = member(from, key);
        const auto& new_value = member(to, key);
        if (old_value == new_value || key == "name") continue;
        if (key == "image") {
            if (old_value.is_string()) {
                lines.push_back(fmt::format("- {}: image {}", name, old_value.get<std::string>()));
            }
            if (new_value.is_string()) {
                lines.push_back(fmt::format("+ {}: image {}", name, new_value.get<std::string>()));
            }
        } else if (key == "env") {
            diff_variables(name, old_value, new_value, lines);
        } else {
            lines.push_back(fmt::format("~ {}: {}", name, key));
        }
    }
}

void diff_containers(const Json& from, const Json& to, Lines& lines) {
    const auto before = by_name(from);
    const auto after = by_name(to);
    for (const auto& name : keys_of(before, after)) {
        const auto old_one = before.find(name);
        const auto new_one = after.find(name);
        if (new_one == after.end()) {
            lines.push_back(fmt::format("- container {}", name));
        } else if (old_one == before.end()) {
            lines.push_back(
                fmt::format("+ container {}: image {}", name,
                            schemas::string_at(new_one->second, "/image").value_or("")));
        } else {
            diff_container(name, old_one->second, new_one->second, lines);
        }
    }
}

Json parsed(std::string_view text) {
    auto json = schemas::parse_json(text);
    return json ? *std::move(json) : Json{};
}

}  // namespace

std::string images_of(std::string_view pod_template) {
    const auto json = parsed(pod_template);
    const auto* containers = schemas::find(json, "/spec/containers");
    std::string out;
    if (containers == nullptr || !containers->is_array()) return out;
    for (const auto& container : *containers) {
        if (!out.empty()) out += ' ';
        out += fmt::format("{}={}", schemas::string_at(container, "/name").value_or(""),
                           schemas::string_at(container, "/image").value_or(""));
    }
    return out;
}

Lines template_diff(std::string_view from_text, std::string_view to_text) {
    const auto from = parsed(from_text);
    const auto to = parsed(to_text);
    Lines lines;
    const auto& old_spec = member(from, "spec");
    const auto& new_spec = member(to, "spec");
    for (const auto& key : keys_of(members(old_spec), members(new_spec))) {
        const auto& old_value = member(old_spec, key);
        const auto& new_value = member(new_spec, key);
        if (old_value == new_value) continue;
        if (key == "containers" || key == "initContainers") {
            diff_containers(old_value, new_value, lines);
        } else {
            lines.push_back(fmt::format("~ pod: {}", key));
        }
    }
    if (member(from, "metadata") != member(to, "metadata")) {
        lines.emplace_back("~ pod: labels or annotations");
    }
    return lines;
}

}  // namespace vigie::actions
