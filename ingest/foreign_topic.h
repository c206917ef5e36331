#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "ingest/mapping.h"
#include "schemas/telemetry.h"
#include "streams/record.h"

namespace vigie::ingest {

// A topic of others, on the same Kafka, that Vigie reads.
enum class ForeignFormat : std::uint8_t {
    kCloudEvents,  // Structured, batch, or binary (attributes in headers "ce_…"); by the rules
    kJson,         // By its mapping
    kJsonLines,    // Log lines
    kOtlp,         // As an OpenTelemetry Collector's Kafka exporter writes: to `signal`
};
struct ForeignTopic {
    std::string topic;
    ForeignFormat format = ForeignFormat::kJson;
    Mapping mapping;     // kJson
    std::string signal;  // kOtlp: the topic of Vigie, "vigie.metrics", "vigie.logs", "vigie.spans"
};

// What a record of a foreign topic becomes on Vigie's: none for what no rule names. `now` is the
// record's time. kInvalid says what is wrong with it. Ids are made of its content or its place, so
// that a record that is read again says the same.
Result<std::vector<streams::Message>> read_foreign(const ForeignTopic& topic,
                                                   const std::vector<CloudEventRule>& rules,
                                                   const streams::Record& record,
                                                   const DomainId& domain,
                                                   const schemas::DecodeLimits& limits);

}  // namespace vigie::ingest
