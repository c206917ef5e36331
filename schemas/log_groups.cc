#include "schemas/log_groups.h"

#include <algorithm>
#include <array>
#include <utility>

#include <protozero/pbf_writer.hpp>

#include "schemas/otlp_write.h"
#include "schemas/text.h"

namespace vigie::schemas {

namespace {

using detail::bytes_of_hex;
using detail::write_attributes;
using protozero::pbf_writer;

struct Word {
    std::string_view word;
    std::uint8_t number;
};

// https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
constexpr std::array kWords{
    Word{"trace", 1},       Word{"debug", 5},         Word{"dbg", 5},     Word{"info", 9},
    Word{"information", 9}, Word{"informational", 9}, Word{"notice", 10}, Word{"warn", 13},
    Word{"warning", 13},    Word{"err", 17},          Word{"error", 17},  Word{"crit", 18},
    Word{"critical", 18},   Word{"alert", 19},        Word{"fatal", 21},  Word{"panic", 21},
    Word{"emerg", 21},      Word{"emergency", 21},
};

// opentelemetry/proto/logs/v1/logs.proto: LogRecord
std::string encode_record(const LogRecord& record) {
    std::string out;
    pbf_writer log(out);
    const auto nanos =
        static_cast<std::uint64_t>(std::max<std::int64_t>(micros_of(record.at), 0)) * 1000;
    log.add_fixed64(1, nanos);
    if (record.severity != 0) log.add_enum(2, record.severity);
    {
        pbf_writer body(log, 5);
        body.add_string(1, record.body);
    }
    write_attributes(log, 6, record.attributes);
    if (const auto trace = bytes_of_hex(record.trace_id); trace.size() == 16) {
        log.add_bytes(9, trace);
    }
    log.add_fixed64(11, nanos);
    return out;
}

void put(Labels& labels, std::string_view name, std::string_view value) {
    const auto place = std::ranges::lower_bound(
        labels, name, {}, [](const auto& pair) { return std::string_view(pair.first); });
    labels.insert(place, {std::string(name), std::string(value)});
}

}  // namespace

std::string encode_otlp_logs(std::span<const LogGroup> groups) {
    std::string out;
    pbf_writer request(out);
    for (const auto& group : groups) {
        pbf_writer resource_logs(request, 1);
        {
            pbf_writer resource(resource_logs, 1);
            write_attributes(resource, 1, group.resource);
        }
        pbf_writer scope_logs(resource_logs, 2);
        for (const auto& record : group.records) scope_logs.add_message(2, encode_record(record));
    }
    return out;
}

void name_resource(Labels& resource) {
    const auto has = [&](std::string_view name) { return !label(resource, name).empty(); };
    if (!has("service.name") && !has("service") && !has("service_name")) {
        for (const auto* name : {"app", "application", "container", "unit"}) {
            if (const std::string value(label(resource, name)); !value.empty()) {
                put(resource, "service.name", value);
                break;
            }
        }
    }
    if (has("host.name")) return;
    for (const auto* name : {"host", "hostname", "node_name", "nodename"}) {
        if (const std::string value(label(resource, name)); !value.empty()) {
            put(resource, "host.name", value);
            return;
        }
    }
}

std::uint8_t severity_number(std::string_view word) {
    const std::string low = detail::lower(word);
    const auto* const found = std::ranges::find(kWords, std::string_view(low),
                                                [](const Word& entry) { return entry.word; });
    return found == kWords.end() ? 0 : found->number;
}

}  // namespace vigie::schemas
