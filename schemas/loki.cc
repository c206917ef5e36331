#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "schemas/budget.h"
#include "schemas/json.h"
#include "schemas/log_groups.h"
#include "schemas/otlp_proto.h"
#include "schemas/text.h"

// Loki's push: pkg/push/push.proto and /loki/api/v1/push.
namespace vigie::schemas {

namespace {

using detail::Budget;
using detail::clean_label;
using detail::message_tag;
using detail::read_view;
using detail::varint_tag;
using protozero::pbf_reader;

Error wrong_labels(std::string_view text) {
    return {ErrorKind::kInvalid, fmt::format("the labels '{}' are not {{name=\"value\", …}}",
                                             detail::clean_text(text, 100))};
}

// A string as Go quotes it; takes it from the front of `text`.
std::optional<std::string> take_quoted(std::string_view& text) {
    if (!text.starts_with('"')) return std::nullopt;
    std::string value;
    std::size_t i = 1;
    for (; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] != '\\') {
            value += text[i];
            continue;
        }
        if (++i == text.size()) return std::nullopt;
        switch (text[i]) {
            case 'n': value += '\n'; break;
            case 't': value += '\t'; break;
            case 'r': value += '\r'; break;
            case '"':
            case '\\': value += text[i]; break;
            default: value += '\\'; value += text[i];
        }
    }
    if (i >= text.size()) return std::nullopt;
    text.remove_prefix(i + 1);
    return value;
}

void skip_blanks(std::string_view& text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
}

Result<Labels> parse_labels(std::string_view whole, const Budget& budget) {
    std::string_view text = whole;
    if (!text.starts_with('{') || !text.ends_with('}')) return fail(wrong_labels(whole));
    text = text.substr(1, text.size() - 2);
    Labels labels;
    skip_blanks(text);
    while (!text.empty()) {
        const auto equals = text.find('=');
        if (equals == std::string_view::npos || equals == 0) return fail(wrong_labels(whole));
        std::string name(text.substr(0, equals));
        while (name.ends_with(' ')) name.pop_back();
        text.remove_prefix(equals + 1);
        skip_blanks(text);
        const auto value = take_quoted(text);
        if (!value) return fail(wrong_labels(whole));
        VIGIE_TRY(budget.check_count(labels));
        labels.emplace_back(clean_label(name, budget), clean_label(*value, budget));
        skip_blanks(text);
        if (text.starts_with(',')) {
            text.remove_prefix(1);
        } else if (!text.empty()) {
            return fail(wrong_labels(whole));
        }
        skip_blanks(text);
    }
    return labels;
}

// "level=warn" and "\"level\":\"warn\"" somewhere near the front of a line.
std::uint8_t severity_in(std::string_view line) {
    line = line.substr(0, 512);
    for (const std::string_view mark :
         {"level=", "lvl=", "severity=", "\"level\":", "\"severity\":"}) {
        const auto at = line.find(mark);
        if (at == std::string_view::npos) continue;
        auto word = line.substr(at + mark.size());
        while (word.starts_with(' ') || word.starts_with('"')) word.remove_prefix(1);
        const auto end = std::ranges::find_if_not(
            word, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
        const auto length = static_cast<std::size_t>(end - word.begin());
        if (const auto number = severity_number(word.substr(0, length)); number != 0) return number;
    }
    return 0;
}

std::uint8_t severity_of_labels(const Labels& labels) {
    for (const auto* name : {"level", "detected_level", "severity"}) {
        if (const auto number = severity_number(label(labels, name)); number != 0) return number;
    }
    return 0;
}

Status add(LogGroup& group, LogRecord record, Budget& budget) {
    VIGIE_TRY(budget.take_item());
    VIGIE_TRY(budget.take_bytes(sizeof record + record.body.size()));
    record.severity = severity_of_labels(record.attributes);
    if (record.severity == 0) record.severity = severity_of_labels(group.resource);
    if (record.severity == 0) record.severity = severity_in(record.body);
    record.trace_id = label(record.attributes, "trace_id");
    if (record.trace_id.size() != 32 || !detail::is_hex(record.trace_id)) record.trace_id.clear();
    group.records.push_back(std::move(record));
    return {};
}

// google.protobuf.Timestamp
EventTime read_time(pbf_reader fields) {
    std::int64_t seconds = 0;
    std::int64_t nanos = 0;
    while (fields.next()) {
        switch (fields.tag_and_type()) {
            case varint_tag(1): seconds = fields.get_int64(); break;
            case varint_tag(2): nanos = fields.get_int32(); break;
            default: fields.skip();
        }
    }
    constexpr std::int64_t kSecondsMax = 253'402'300'799;  // The end of the year 9999
    seconds = std::clamp<std::int64_t>(seconds, 0, kSecondsMax);
    return event_time_from_micros(seconds * 1'000'000 +
                                  std::clamp<std::int64_t>(nanos, 0, 999'999'999) / 1000);
}

Status read_metadata(pbf_reader fields, const Budget& budget, Labels& labels) {
    VIGIE_TRY(budget.check_count(labels));
    auto& [name, value] = labels.emplace_back();
    while (fields.next()) {
        switch (fields.tag_and_type()) {
            case message_tag(1): name = clean_label(read_view(fields), budget); break;
            case message_tag(2): value = clean_label(read_view(fields), budget); break;
            default: fields.skip();
        }
    }
    return {};
}

Status read_entry(pbf_reader fields, LogGroup& group, Budget& budget) {
    LogRecord record;
    Labels metadata;
    while (fields.next()) {
        switch (fields.tag_and_type()) {
            case message_tag(1): record.at = read_time(fields.get_message()); break;
            case message_tag(2): record.body = clean_label(read_view(fields), budget); break;
            case message_tag(3):
                VIGIE_TRY(read_metadata(fields.get_message(), budget, metadata));
                break;
            default: fields.skip();
        }
    }
    VIGIE_TRY_ASSIGN(record.attributes, budget.merge({}, std::move(metadata)));
    return add(group, std::move(record), budget);
}

Result<LogGroup> read_stream(pbf_reader fields, Budget& budget) {
    LogGroup group;
    pbf_reader again = fields;  // Entries may come before the labels that say whose they are.
    while (again.next()) {
        if (again.tag_and_type() != message_tag(1)) {
            again.skip();
            continue;
        }
        VIGIE_TRY_ASSIGN(auto labels, parse_labels(read_view(again), budget));
        VIGIE_TRY_ASSIGN(group.resource, budget.merge({}, std::move(labels)));
    }
    name_resource(group.resource);
    while (fields.next()) {
        if (fields.tag_and_type() == message_tag(2)) {
            VIGIE_TRY(read_entry(fields.get_message(), group, budget));
        } else {
            fields.skip();
        }
    }
    return group;
}

Result<Labels> labels_of(const Json& object, std::string_view place, const Budget& budget) {
    if (!object.is_object()) {
        return fail(ErrorKind::kInvalid, fmt::format("{} is not an object", place));
    }
    Labels labels;
    for (const auto& [name, value] : object.items()) {
        const auto* const text = value.get_ptr<const std::string*>();
        if (text == nullptr) {
            return fail(ErrorKind::kInvalid, fmt::format("{}: a value is not a string", place));
        }
        VIGIE_TRY(budget.check_count(labels));
        labels.emplace_back(clean_label(name, budget), clean_label(*text, budget));
    }
    return budget.merge({}, std::move(labels));
}

// ["1570818238000000000", "the line", {"metadata": "…"}]
Status read_value(const Json& value, std::string_view place, LogGroup& group, Budget& budget) {
    const bool good = value.is_array() && value.size() >= 2 && value.size() <= 3 &&
                      value[0].is_string() && value[1].is_string();
    if (!good) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("{} is not [\"nanoseconds\", \"line\"]", place));
    }
    const auto& time = value[0].get_ref<const std::string&>();
    std::uint64_t nanos = 0;
    const auto parsed = std::from_chars(time.data(), time.data() + time.size(), nanos);
    if (parsed.ec != std::errc{} || parsed.ptr != time.data() + time.size()) {
        return fail(ErrorKind::kInvalid, fmt::format("{}: the time is not a number", place));
    }
    LogRecord record;
    record.at = detail::time_of_nanos(nanos);
    record.body = clean_label(value[1].get_ref<const std::string&>(), budget);
    if (value.size() == 3) {
        VIGIE_TRY_ASSIGN(record.attributes, labels_of(value[2], place, budget));
    }
    return add(group, std::move(record), budget);
}

}  // namespace

Result<std::vector<LogGroup>> decode_loki_protobuf(std::string_view bytes,
                                                   const DecodeLimits& limits) {
    Budget budget(limits);
    std::vector<LogGroup> groups;
    try {
        const pbf_reader request(bytes.data(), bytes.size());
        const auto read = [&](pbf_reader stream) -> Status {
            VIGIE_TRY_ASSIGN(auto group, read_stream(stream, budget));
            VIGIE_TRY(budget.take_bytes(sizeof group));
            groups.push_back(std::move(group));
            return {};
        };
        VIGIE_TRY(detail::for_each(request, message_tag(1), read));
    } catch (const protozero::exception& error) {
        return fail(ErrorKind::kInvalid, fmt::format("Loki protobuf: {}", error.what()));
    }
    return groups;
}

Result<std::vector<LogGroup>> decode_loki_json(std::string_view bytes, const DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const Json body, parse_json(bytes));
    const Json* const streams = find(body, "/streams");
    if (streams == nullptr || !streams->is_array()) {
        return fail(ErrorKind::kInvalid, "/streams is not a list");
    }
    Budget budget(limits);
    std::vector<LogGroup> groups;
    for (const auto& stream : *streams) {
        const auto place = fmt::format("/streams/{}", groups.size());
        const Json* const labels = find(stream, "/stream");
        const Json* const values = find(stream, "/values");
        if (labels == nullptr || values == nullptr || !values->is_array()) {
            return fail(ErrorKind::kInvalid, fmt::format("{} lacks 'stream' or 'values'", place));
        }
        auto& group = groups.emplace_back();
        VIGIE_TRY_ASSIGN(group.resource, labels_of(*labels, place + "/stream", budget));
        name_resource(group.resource);
        std::size_t number = 0;
        for (const auto& value : *values) {
            VIGIE_TRY(
                read_value(value, fmt::format("{}/values/{}", place, number++), group, budget));
        }
    }
    return groups;
}

}  // namespace vigie::schemas
