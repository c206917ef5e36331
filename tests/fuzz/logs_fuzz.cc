// Log lines that are not OTLP. The first byte chooses: Loki's protobuf, Loki's JSON, JSON lines,
// syslog.
#include <cstdint>
#include <string>

#include "core/utf8.h"
#include "ingest/syslog.h"
#include "schemas/log_groups.h"
#include "tests/fuzz/event_checks.h"

namespace {

using namespace vigie;
using schemas::LogGroup;

void check_groups(const std::vector<LogGroup>& groups) {
    std::size_t count = 0;
    for (const auto& group : groups) {
        VIGIE_ASSERT(std::is_sorted(group.resource.begin(), group.resource.end()));
        for (const auto& record : group.records) {
            VIGIE_ASSERT(is_utf8(record.body) && record.severity <= 24);
        }
        count += group.records.size();
    }
    // What is written is read back: the detector and every other reader see each line.
    const auto lines =
        schemas::decode_otlp_logs(schemas::encode_otlp_logs(groups),
                                  schemas::OtlpEncoding::kProtobuf, schemas::DecodeLimits{});
    VIGIE_ASSERT(lines.has_value() && lines->size() == count);
}

void check_syslog(std::string_view bytes) {
    auto line = ingest::parse_syslog(bytes, fuzz::kNow, "192.0.2.7");
    VIGIE_ASSERT(line.record.at > EventTime{} && is_utf8(line.record.body));
    VIGIE_ASSERT(line.record.body.size() <= 3 * bytes.size());
    check_groups({{std::move(line.resource), {std::move(line.record)}}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    schemas::DecodeLimits limits;
    limits.items_max = 10'000;
    Result<std::vector<LogGroup>> groups;
    switch (data[0] % 4) {
        case 0: groups = schemas::decode_loki_protobuf(bytes, limits); break;
        case 1: groups = schemas::decode_loki_json(bytes, limits); break;
        case 2: groups = schemas::decode_json_lines(bytes, limits); break;
        default: check_syslog(bytes); return 0;
    }
    if (groups) {
        check_groups(*groups);
    } else {
        VIGIE_ASSERT(groups.error().kind == ErrorKind::kInvalid);
    }
    return 0;
}
