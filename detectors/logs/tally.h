#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "detectors/codec.h"
#include "schemas/telemetry.h"

namespace vigie::detectors {

// The lines of one service in one window.
struct LogTally {
    std::uint64_t lines = 0;
    std::uint64_t errors = 0;
    std::uint64_t novel = 0;                  // Lines of templates that are news.
    std::string novel_template;               // The first of them.
    std::vector<std::string> error_examples;  // The first five, as received and cut.
    std::vector<std::string> novel_examples;

    void save(Encoder& out) const;
    void load(Decoder& in);
};

// Keeps the first five, cut.
void add_example(std::vector<std::string>& examples, std::string_view line);

// The OpenTelemetry severity number, or what the line says of itself when there is none: 21 for
// fatal, critical and panic, 17 for error, 13 for warnings, else 9 (info).
std::uint8_t severity_of(const schemas::LogRecord& record);

}  // namespace vigie::detectors
