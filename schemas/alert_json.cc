#include "schemas/alert_json.h"

#include <algorithm>
#include <array>
#include <utility>

#include <simdjson.h>

#include "core/utf8.h"

namespace vigie::schemas {

namespace {

namespace dom = simdjson::dom;
constexpr std::size_t kNameBytesMax = 1024;
constexpr std::size_t kDepthMax = 64;  // As the general reader

// False for what the general reader must judge.
bool read_labels(dom::element value, const DecodeLimits& limits, Labels& labels) {
    dom::object object;
    if (value.get(object) != simdjson::SUCCESS || object.size() > limits.labels_max) return false;
    for (const auto field : object) {
        std::string_view text;
        if (field.value.get(text) != simdjson::SUCCESS) return false;
        const bool good = !field.key.empty() && field.key.size() <= kNameBytesMax &&
                          text.size() <= limits.label_bytes_max;
        if (!good) return false;
        if (!text.empty()) labels.emplace_back(field.key, text);
    }
    if (!std::ranges::is_sorted(labels)) std::ranges::sort(labels);
    // A name that stands twice: the last one counts, and the general reader knows which that is.
    const auto twice = std::ranges::adjacent_find(
        labels, [](const auto& a, const auto& b) { return a.first == b.first; });
    return twice == labels.end();
}

bool read_alert(dom::element value, const DecodeLimits& limits, PostedAlert& alert) {
    dom::object object;
    if (value.get(object) != simdjson::SUCCESS) return false;
    std::array<bool, 5> seen{};
    for (const auto field : object) {
        constexpr std::array<std::string_view, 5> kNames{"labels", "annotations", "startsAt",
                                                         "endsAt", "generatorURL"};
        const auto* const name = std::ranges::find(kNames, field.key);
        if (name == kNames.end()) continue;
        const auto index = static_cast<std::size_t>(name - kNames.begin());
        if (std::exchange(seen.at(index), true)) return false;
        if (index < 2) {
            if (!read_labels(field.value, limits, index == 0 ? alert.labels : alert.annotations)) {
                return false;
            }
            continue;
        }
        std::string_view text;
        if (field.value.get(text) != simdjson::SUCCESS) return false;
        (index == 2 ? alert.starts_at : index == 3 ? alert.ends_at : alert.url) = text;
    }
    return true;
}

// As nlohmann-json escapes.
void put_text(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out += '"';
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        out.append(text, plain, i - plain);
        plain = i + 1;
        out += '\\';
        switch (c) {
            case '"': out += '"'; break;
            case '\\': out += '\\'; break;
            case '\b': out += 'b'; break;
            case '\f': out += 'f'; break;
            case '\n': out += 'n'; break;
            case '\r': out += 'r'; break;
            case '\t': out += 't'; break;
            default:
                out += "u00";
                out += kHex[c >> 4U];
                out += kHex[c & 15U];
        }
    }
    out.append(text, plain, text.size() - plain);
    out += '"';
}

void put_member(std::string& out, std::string_view name, std::string_view text) {
    out += out.ends_with('{') ? "\"" : ",\"";
    out += name;
    out += "\":";
    put_text(out, text);
}

void put_labels(std::string& out, std::string_view name, const Labels& labels) {
    out += out.ends_with('{') ? "\"" : ",\"";
    out += name;
    out += "\":{";
    for (const auto& [key, value] : labels) {
        if (!out.ends_with('{')) out += ',';
        put_text(out, key);
        out += ':';
        put_text(out, value);
    }
    out += '}';
}

bool all_utf8(const EventMeta& meta, const Alert& alert) {
    const auto good = [](const auto& label) {
        return is_utf8(label.first) && is_utf8(label.second);
    };
    return std::ranges::all_of(alert.labels, good) &&
           std::ranges::all_of(alert.annotations, good) && is_utf8(alert.name) &&
           is_utf8(alert.summary) && is_utf8(alert.url) && is_utf8(alert.entity.value) &&
           is_utf8(alert.fingerprint) && is_utf8(meta.source) && is_utf8(meta.id.value) &&
           is_utf8(meta.domain.value);
}

// Strictly by name: what encode() makes of labels that are not is not said here.
bool sorted_by_name(const Labels& labels) {
    return std::ranges::adjacent_find(labels, [](const auto& a, const auto& b) {
               return a.first >= b.first;
           }) == labels.end();
}

}  // namespace

std::optional<std::vector<PostedAlert>> read_posted_alerts(std::string_view body,
                                                           const DecodeLimits& limits) {
    dom::parser parser;
    dom::element root;
    dom::array list;
    if (parser.allocate(std::max<std::size_t>(body.size(), 1), kDepthMax) != simdjson::SUCCESS ||
        parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS ||
        root.get(list) != simdjson::SUCCESS || list.size() > limits.items_max) {
        return std::nullopt;
    }
    std::vector<PostedAlert> alerts;
    alerts.reserve(list.size());
    for (const auto item : list) {
        if (!read_alert(item, limits, alerts.emplace_back())) return std::nullopt;
    }
    return alerts;
}

std::string encode_alert(const EventMeta& meta, const Alert& alert) {
    if (!all_utf8(meta, alert) || !sorted_by_name(alert.labels) ||
        !sorted_by_name(alert.annotations)) {
        return encode({meta, alert});
    }
    std::string out;
    out.reserve(1024);
    out += R"({"data":{)";
    put_labels(out, "annotations", alert.annotations);
    if (alert.ends_at) put_member(out, "ends_at", to_rfc3339(*alert.ends_at));
    put_member(out, "entity", alert.entity.value);
    put_member(out, "fingerprint", alert.fingerprint);
    out += alert.firing ? R"(,"firing":true)" : R"(,"firing":false)";
    put_labels(out, "labels", alert.labels);
    put_member(out, "name", alert.name);
    put_member(out, "severity", to_string(alert.severity));
    put_member(out, "starts_at", to_rfc3339(alert.starts_at));
    put_member(out, "summary", alert.summary);
    put_member(out, "url", alert.url);
    out += R"(},"datacontenttype":"application/json")";
    put_member(out, "domain", meta.domain.value);
    put_member(out, "id", meta.id.value);
    put_member(out, "source", meta.source);
    put_member(out, "specversion", "1.0");
    put_member(out, "time", to_rfc3339(meta.time));
    put_member(out, "type", "io.vigie.alert.v1");
    out += '}';
    return out;
}

}  // namespace vigie::schemas
